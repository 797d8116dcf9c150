//! Lets tools like grpcurl ask a server what it serves, with the comments of the contracts.

use rollcall_proto::{DESCRIPTORS, role};
use tonic_reflection::server::{
    Builder,
    v1::{ServerReflection, ServerReflectionServer},
};

use crate::error::Error;

/// The name of gRPC's health service, which every server has.
const HEALTH: &str = "grpc.health.v1.Health";

/// Makes the reflection service of a server that serves gRPC health and these. Names of health that are no services
/// are left out.
pub(super) fn of(services: &[&str]) -> Result<ServerReflectionServer<impl ServerReflection>, Error> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(HEALTH);
    let served = services.iter().filter(|name| !role::callers(name).is_empty());
    served
        .fold(builder, |builder, name| builder.with_service_name(*name))
        .build_v1()
        .map_err(Error::Reflection)
}
