//! What can go wrong before and around the work of a process.

use std::net::SocketAddr;

/// Says why a process cannot start, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}, expected a free address of this machine")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// A gRPC server stopped by itself.
    #[error("gRPC server failed")]
    Serve(#[source] tonic::transport::Error),
    /// What was compiled in of the contracts cannot be served by reflection.
    #[error("the contracts cannot be served by reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The address of a service is not a URL.
    #[error("endpoint {endpoint:?} is no URL, expected one like http://127.0.0.1:7701")]
    Endpoint {
        /// The text found.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
    /// The configuration has faults; each names its source.
    #[error("configuration is refused:{}", list(.0))]
    Config(Vec<String>),
    /// The configuration cannot be written down.
    #[error("configuration cannot be printed")]
    Print(#[source] toml::ser::Error),
    /// The log filter cannot be read.
    #[error("log filter {filter:?} is refused, expected one like `info` or `info,rollcall_gateway=debug`")]
    Filter {
        /// The text found.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before in this process.
    #[error("logs are set up already, expected once in a process")]
    Subscriber(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Traces cannot be exported as the environment says.
    #[error("traces cannot be exported as the variables OTEL_* say")]
    Traces(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signal(#[source] std::io::Error),
    /// A part of the process failed.
    #[error("{task} failed")]
    Task {
        /// The name it was spawned with.
        task: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of the process panicked, or was aborted.
    #[error("{task} panicked")]
    Panicked {
        /// The name it was spawned with.
        task: &'static str,
    },
    /// Parts of the process did not stop in time.
    #[error("{} did not stop within {limit:?} of being told to", .tasks.join(", "))]
    Stuck {
        /// The names they were spawned with.
        tasks: Vec<&'static str>,
        /// How long they were waited for.
        limit: std::time::Duration,
    },
}

fn list(faults: &[String]) -> String {
    faults.iter().fold(String::new(), |text, fault| text + "\n  - " + fault)
}
