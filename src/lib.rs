//! fab-rs.
