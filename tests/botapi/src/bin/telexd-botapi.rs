//! telexd-botapi
fn main() {}
