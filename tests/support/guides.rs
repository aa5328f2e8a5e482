//! The Rust of the guides, as doctests: `cargo test -p celerysalt-tests --doc`. Here, because this package knows all features and
//! the reference contracts; `mdbook test` can't see dependencies.
//!
//! `tests/guides/snippets.rs` looks that each page with Rust on it is here. Pages that are followed to the letter are not: what is
//! on them is compiled in the crates that they make.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[doc = include_str!(concat!("../../docs/", $path))]
            pub mod $name {}
        )*
    };
}

pages! {
    best_practices: "best-practices.md",
    handlers: "handlers.md",
    observability: "observability.md",
    operations: "operations.md",
    outbox: "outbox.md",
    patterns: "patterns.md",
    python: "python.md",
    schemas: "schemas.md",
}
