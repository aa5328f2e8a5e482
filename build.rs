//! Generates `schemas/` into this crate, as any consumer's build script would.

fn main() {
    celerysalt_codegen::contracts("schemas").emit();
}
