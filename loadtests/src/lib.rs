//! The typing simulator and the load generator.
