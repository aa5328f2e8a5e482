//! What a build script does, as a program: for `celerysalt-bench generate`, which sets the environment as cargo does.

fn main() {
    celerysalt_codegen::contracts("schemas").emit();
}
