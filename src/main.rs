//! fab-rs.
fn main() {}
