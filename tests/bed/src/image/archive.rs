//! An OCI image archive (image-spec 1.1, "image layout" in a tar file) of static programs.

use std::collections::HashMap;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use ebb_netns::capability;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// The user that every image runs as unless the pod says otherwise; "nonroot" of the images that
/// people build on.
const USER: &str = "65532:65532";

/// An image in memory.
#[derive(Debug)]
pub struct Archive {
    /// The tar file.
    pub bytes: Vec<u8>,
    /// The image's name that ends in a digest of its content.
    pub name: String,
}

/// A program to make an image of.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name, in the image too.
    pub name: &'a str,
    /// Its file.
    pub content: &'a [u8],
    /// The capabilities of the file, as the kernel keeps them in its extended attribute.
    pub capability: Option<&'a [u8]>,
}

/// Makes the image `localhost/NAME` of programs in its root. The first is what it runs, and its
/// name is the image's.
pub fn of_programs(programs: &[Program<'_>]) -> Result<Archive> {
    let first = programs.first().context("an image without a program")?;
    let name = first.name;
    let layer = layer(programs)?;
    let layer = Blob::new(MediaType::ImageLayer, layer)?;
    let config = ImageConfigurationBuilder::default()
        .architecture(architecture())
        .os(Os::Linux)
        .config(
            ConfigBuilder::default()
                .user(USER)
                .entrypoint(vec![format!("/{name}")])
                .build()?,
        )
        .rootfs(
            RootFsBuilder::default()
                .typ("layers")
                .diff_ids(vec![layer.descriptor.digest().to_string()])
                .build()?,
        )
        .build()?;
    let config = Blob::new(MediaType::ImageConfig, serde_json::to_vec(&config)?)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config.descriptor.clone())
        .layers(vec![layer.descriptor.clone()])
        .build()?;
    let manifest = Blob::new(MediaType::ImageManifest, serde_json::to_vec(&manifest)?)?;

    let tag: String = manifest.hex().chars().take(12).collect();
    let image = format!("localhost/{name}:{tag}");
    let named = [image.clone(), format!("localhost/{name}:dev")].map(|image| {
        let mut descriptor = manifest.descriptor.clone();
        // containerd takes the image's whole name from this annotation.
        descriptor.set_annotations(Some(HashMap::from([(
            "io.containerd.image.name".to_owned(),
            image,
        )])));
        descriptor
    });
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(named.to_vec())
        .build()?;

    let mut tar = Builder::new(Vec::new());
    append(
        &mut tar,
        "oci-layout",
        0o644,
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    append(&mut tar, "index.json", 0o644, &serde_json::to_vec(&index)?)?;
    for blob in [&layer, &config, &manifest] {
        append(
            &mut tar,
            &format!("blobs/sha256/{}", blob.hex()),
            0o644,
            &blob.bytes,
        )?;
    }
    Ok(Archive {
        bytes: tar.into_inner()?,
        name: image,
    })
}

struct Blob {
    bytes: Vec<u8>,
    descriptor: Descriptor,
}

// === impl Blob ===

impl Blob {
    fn new(kind: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let hex: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let digest = Sha256Digest::from_str(&hex).context("a SHA-256 digest is malformed")?;
        let descriptor = Descriptor::new(kind, bytes.len() as u64, digest);
        Ok(Self { bytes, descriptor })
    }

    fn hex(&self) -> &str {
        self.descriptor.digest().digest()
    }
}

fn layer(programs: &[Program<'_>]) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for program in programs {
        if let Some(capability) = program.capability {
            // Where image-spec 1.1 has extended attributes: in a PAX record before the file.
            let record = format!("SCHILY.xattr.{}", capability::ATTRIBUTE);
            tar.append_pax_extensions([(record.as_str(), capability)])?;
        }
        append(&mut tar, program.name, 0o755, program.content)?;
    }
    Ok(tar.into_inner()?)
}

/// Appends a file without a time and an owner, so that equal content gives an equal archive.
fn append(tar: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, content)
        .with_context(|| format!("can't put {path} into an image"))
}

fn architecture() -> Arch {
    match std::env::consts::ARCH {
        "aarch64" => Arch::ARM64,
        _ => Arch::Amd64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(content: &[u8]) -> Archive {
        let program = Program {
            name: "ebb-pause",
            content,
            capability: None,
        };
        of_programs(&[program]).unwrap()
    }

    /// The first file of an image's layer, with its PAX records.
    fn records(archive: &Archive) -> Vec<(String, Vec<u8>)> {
        let mut tar = tar::Archive::new(archive.bytes.as_slice());
        let mut layer = Vec::new();
        let mut entry = tar.entries().unwrap().nth(2).unwrap().unwrap();
        std::io::Read::read_to_end(&mut entry, &mut layer).unwrap();
        let mut layer = tar::Archive::new(layer.as_slice());
        let mut file = layer.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(file.header().mode().unwrap(), 0o755);
        let records = file.pax_extensions().unwrap().into_iter().flatten();
        let record = |record: tar::PaxExtension<'_>| {
            let key = record.key().unwrap().to_owned();
            (key, record.value_bytes().to_vec())
        };
        records.map(|it| record(it.unwrap())).collect()
    }

    /// A capability is in the layer, byte for byte, where a container runtime looks for it; without
    /// one there is nothing but the file.
    #[test]
    fn a_capability_is_in_the_layer() {
        let program = Program {
            name: "ebb-sidecar",
            content: b"program",
            capability: Some(&capability::VALUE),
        };
        let key = "SCHILY.xattr.security.capability".to_owned();
        let expected = vec![(key, capability::VALUE.to_vec())];
        assert_eq!(records(&of_programs(&[program]).unwrap()), expected);
        assert_eq!(records(&pause(b"program")), []);
    }

    #[test]
    fn equal_programs_give_equal_images_and_others_another_name() {
        let one = pause(b"program");
        let same = pause(b"program");
        let other = pause(b"another");
        assert_eq!(one.bytes, same.bytes);
        assert_eq!(one.name, same.name);
        assert_ne!(one.name, other.name);
        assert!(one.name.starts_with("localhost/ebb-pause:"), "{}", one.name);
    }

    #[test]
    fn the_program_is_executable_and_runs_without_root() {
        let archive = pause(b"program");
        let mut tar = tar::Archive::new(archive.bytes.as_slice());
        let blobs: Vec<Vec<u8>> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let mut content = Vec::new();
                std::io::Read::read_to_end(&mut entry.unwrap(), &mut content).unwrap();
                content
            })
            .collect();
        let mut layer = tar::Archive::new(blobs[2].as_slice());
        let file = layer.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(file.header().mode().unwrap(), 0o755);
        let config: serde_json::Value = serde_json::from_slice(&blobs[3]).unwrap();
        assert_eq!(config["config"]["User"], USER);
        assert_eq!(
            config["config"]["Entrypoint"],
            serde_json::json!(["/ebb-pause"])
        );
    }
}
