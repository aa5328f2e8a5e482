// Reads a document with AsyncAPI's own parser: prints what it finds wrong, as JSON, and what it counted.
"use strict";

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const [, , modules, file] = process.argv;
const { Parser } = createRequire(`${modules}/`)("@asyncapi/parser");

const ERROR = 0;

(async () => {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  const errors = diagnostics
    .filter((one) => one.severity === ERROR)
    .map((one) => `${one.path.join("/")}: ${one.code}: ${one.message}`);
  const count = (part) => document?.[part]().all().length ?? 0;
  console.log(
    JSON.stringify({
      errors,
      version: document?.version(),
      channels: count("channels"),
      operations: count("operations"),
      messages: document?.components().messages().all().length ?? 0,
    }),
  );
})();
