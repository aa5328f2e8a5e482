//! Generates the events as any consumer does.

fn main() {
    celerysalt_codegen::contracts("schemas").emit();
}
