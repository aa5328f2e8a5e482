//! What does not compile, and what the compiler says.

#[test]
fn wrong_calls_do_not_compile() {
    trybuild::TestCases::new().compile_fail("compile_fail/*.rs");
}
