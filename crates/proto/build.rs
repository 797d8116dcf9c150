//! Compiles `proto/` without a system protoc: messages and gRPC by prost and tonic, proto3 JSON for the
//! client frames by pbjson. The descriptors are kept for reflection.

use std::{fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for package in fs::read_dir(root.join("rollcall"))? {
        for file in fs::read_dir(package?.path().join("v1"))? {
            files.push(file?.path());
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [&root])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(out_dir()?.join("descriptors.binpb"), &encoded)?;

    tonic_prost_build::configure().compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .ignore_unknown_fields()
        .build(&[".rollcall.common.v1", ".rollcall.client.v1"])?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment where to write")]
fn out_dir() -> Result<PathBuf, std::env::VarError> {
    std::env::var("OUT_DIR").map(PathBuf::from)
}
