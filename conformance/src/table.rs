//! A report as a table for people.

use std::fmt::Write as _;

use crate::schemas::{Report, Row};

/// The most failures of a group that are shown.
const SHOWN: usize = 400;

/// The table, and each failure in a line.
pub(crate) fn of(report: &Report) -> String {
    let heads = [
        "schemas",
        "generated",
        "refused",
        "wrapped",
        "compiled",
        "payloads",
        "right",
        "wrong",
        "disputed",
        "equal",
        "unequal",
    ];
    let width = report.groups.keys().map(String::len).max().unwrap_or(0).max("required".len());
    let mut out = format!("{:width$}", "group");
    for head in heads {
        let _ = write!(out, "  {head:>9}");
    }
    out.push('\n');
    let mut required = Row::default();
    for (group, row) in &report.groups {
        line(&mut out, group, width, row);
        if !row.optional {
            add(&mut required, row);
        }
    }
    line(&mut out, "required", width, &required);
    let _ = writeln!(out, "\n{} lines, {} bytes of generated code", report.lines, report.bytes);
    for (path, why) in &report.skipped {
        let _ = writeln!(out, "skipped: {} {why}", path.display());
    }
    for dispute in &report.disputes {
        let _ = writeln!(out, "disputed: {dispute}");
    }
    for failure in report.failures.iter().filter(|failure| !failure.optional).take(SHOWN) {
        let payload = failure.payload.as_ref().map(|name| format!(" [{name}]")).unwrap_or_default();
        let _ = writeln!(out, "{}: {}{payload}: {}", failure.kind, failure.schema, failure.reason);
    }
    let more = report.failures.iter().filter(|failure| !failure.optional).count().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(out, "and {more} more: `--json` has them all");
    }
    out
}

fn figures(row: &Row) -> [usize; 11] {
    let Row {
        schemas, generated, refused, wrapped, compiled, payloads, right, wrong, disputed, equal, unequal, ..
    } = row;
    [*schemas, *generated, *refused, *wrapped, *compiled, *payloads, *right, *wrong, *disputed, *equal, *unequal]
}

fn line(out: &mut String, group: &str, width: usize, row: &Row) {
    let _ = write!(out, "{group:width$}");
    for figure in figures(row) {
        let _ = write!(out, "  {figure:>9}");
    }
    out.push('\n');
}

fn add(sum: &mut Row, row: &Row) {
    let slots = [
        &mut sum.schemas,
        &mut sum.generated,
        &mut sum.refused,
        &mut sum.wrapped,
        &mut sum.compiled,
        &mut sum.payloads,
        &mut sum.right,
        &mut sum.wrong,
        &mut sum.disputed,
        &mut sum.equal,
        &mut sum.unequal,
    ];
    for (slot, figure) in slots.into_iter().zip(figures(row)) {
        *slot += figure;
    }
}
