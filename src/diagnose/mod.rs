//! What files brought from hosts mean. Pure: reads from what it is handed, opens nothing.

pub mod hprof;
