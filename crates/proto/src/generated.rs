//! The generated code, one module per proto package. Nothing here is written by hand.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "generated"
)]

macro_rules! package {
    ($name:ident $(, $json:literal)?) => {
        pub mod $name {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/rollcall.", stringify!($name), ".v1.rs"));
                $(include!(concat!(env!("OUT_DIR"), $json));)?
            }
        }
    };
}

package!(admin);
package!(client, "/rollcall.client.v1.serde.rs");
package!(common, "/rollcall.common.v1.serde.rs");
package!(event);
package!(gateway);
package!(notifier);
package!(presence);
package!(subscription);
