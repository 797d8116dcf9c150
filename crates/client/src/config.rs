//! What a client needs to know before it can log anybody in.

use std::time::Duration;

use rollcall_domain::id::{DeviceId, Platform};

/// Says where the server is, what device this is, and how patient the client is.
///
/// ```
/// use std::time::Duration;
/// use rollcall_client::{Config, Platform};
///
/// let mut config = Config::new("ws://127.0.0.1:7700/v1/connect", Platform::Linux, "desk-1".parse()?);
/// assert_eq!(config.call_timeout, Duration::from_secs(10));
/// config.call_timeout = Duration::from_secs(3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address of the gateway: `ws://host:port/v1/connect` for a WebSocket, or `grpc://host:port` (also `http://`) for
    /// a gRPC stream. Both do the same.
    pub url: String,
    /// Kind of device that the sessions run on.
    pub platform: Platform,
    /// Name of this device, chosen by the app and kept over restarts: a login with the same platform and device
    /// silently replaces the one before (SPEC H5).
    pub device_id: DeviceId,
    /// Longest wait for the end of any call, by default 10 s. A call that takes longer ends with 6012, and a
    /// login that finds no server in this time with 9508. Zero lets every call fail.
    pub call_timeout: Duration,
    /// Longest wait for one attempt to connect, by default 5 s; at most `call_timeout` is used.
    pub connect_timeout: Duration,
    /// Range of the wait before the first attempt to reconnect, by default 500 ms. Each wait is drawn evenly
    /// from zero to the range (full jitter), and the range doubles from attempt to attempt. Zero never waits.
    pub reconnect_base: Duration,
    /// Greatest range of that wait, by default 30 s.
    pub reconnect_max: Duration,
}

impl Config {
    /// Makes a configuration with the defaults; change the fields for others. The address is checked by login.
    pub fn new(url: impl Into<String>, platform: Platform, device_id: DeviceId) -> Self {
        Self {
            url: url.into(),
            platform,
            device_id,
            call_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            reconnect_base: Duration::from_millis(500),
            reconnect_max: Duration::from_secs(30),
        }
    }
}
