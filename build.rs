//! Generates the events of `schemas/`, as any consumer would.

fn main() {
    celerysalt_codegen::contracts("schemas").emit();
}
