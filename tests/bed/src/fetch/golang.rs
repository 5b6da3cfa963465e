//! Kubernetes and Helm, built from their Go modules.
//!
//! `go.mod` and `go.sum` are in `tests/bed/`, so the build is reproducible, and Go's own proxy and
//! mirror settings count. Go keeps what it compiled in its build cache; the stamp beside each
//! program saves even the link.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use ebb_netns::command;

use crate::folders::Folders;
use crate::progress::step_with_detail;

/// The Kubernetes that the bed runs; the module's version in `tests/bed/kubernetes/go.mod`.
pub const KUBERNETES: &str = "v1.35.4";

/// One program to build.
struct Program {
    name: &'static str,
    /// The folder of its go.mod, below `tests/bed/`.
    module: &'static str,
    package: &'static str,
}

const fn kubernetes(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        module: "kubernetes",
        package,
    }
}

const HELM: Program = Program {
    name: "helm",
    module: "helm",
    package: "helm.sh/helm/v3/cmd/helm",
};

const H2SPEC: Program = Program {
    name: "h2spec",
    module: "h2spec",
    package: "github.com/summerwind/h2spec/cmd/h2spec",
};

const PROGRAMS: [Program; 7] = [
    kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    kubernetes(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Program {
        name: "helm",
        module: "helm",
        package: "helm.sh/helm/v3/cmd/helm",
    },
];

/// Builds every program whose stamp does not fit; returns all stamps.
pub fn build_all(folders: &Folders) -> Result<String> {
    let version = go_version()?;
    let stamps: Vec<String> = PROGRAMS
        .iter()
        .enumerate()
        .map(|(index, program)| {
            program.ensure(
                &folders.programs(),
                &version,
                &format!(" (program {} of {})", index + 1, PROGRAMS.len()),
            )
        })
        .collect::<Result<_>>()?;
    Ok(stamps.join("\n"))
}

/// Builds Helm alone unless that is done; returns its path.
pub fn helm(folders: &Folders) -> Result<PathBuf> {
    HELM.alone(folders)
}

/// Builds h2spec, a conformance suite for HTTP/2 servers, unless that is done; returns its path.
pub fn h2spec(folders: &Folders) -> Result<PathBuf> {
    H2SPEC.alone(folders)
}

fn go_version() -> Result<String> {
    // Asked in the module's folder, where Go picks the toolchain that go.mod wants.
    command::run(
        Command::new("go")
            .arg("version")
            .current_dir(module_folder("kubernetes")),
    )
}

fn module_folder(module: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(module)
}

// === impl Program ===

impl Program {
    /// What the linker is told: no symbols, and for Kubernetes the version that it reports.
    fn linker_flags(&self) -> String {
        if self.module != "kubernetes" {
            return "-s -w".to_owned();
        }
        let set =
            |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
        let mut numbers = KUBERNETES.trim_start_matches('v').split('.');
        let mut number = || numbers.next().unwrap_or_default();
        let (major, minor) = (number(), number());
        let version = set("gitVersion", KUBERNETES);
        format!(
            "-s -w {version} {} {}",
            set("gitMajor", major),
            set("gitMinor", minor)
        )
    }

    fn stamp(&self, go_version: &str) -> Result<String> {
        let folder = module_folder(self.module);
        let read = |name| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("can't read {}", path.display()))
        };
        let flags = self.linker_flags();
        Ok(super::digest(&[
            &read("go.mod")?,
            &read("go.sum")?,
            flags.as_bytes(),
            go_version.as_bytes(),
            self.package.as_bytes(),
        ]))
    }

    /// Builds it unless its stamp fits; returns its path.
    fn alone(&self, folders: &Folders) -> Result<PathBuf> {
        self.ensure(&folders.programs(), &go_version()?, "")?;
        Ok(folders.programs().join(self.name))
    }

    /// Builds it unless its stamp fits; returns the stamp.
    fn ensure(&self, bin: &Path, go_version: &str, position: &str) -> Result<String> {
        fs::create_dir_all(bin).with_context(|| format!("can't make {}", bin.display()))?;
        let stamp = self.stamp(go_version)?;
        let stamp_file = bin.join(format!("{}.stamp", self.name));
        if !(super::is_stamped(&stamp_file, &stamp) && bin.join(self.name).exists()) {
            self.build(bin, position)?;
            super::write_stamp(&stamp_file, &stamp)?;
        }
        Ok(stamp)
    }

    fn build(&self, bin: &Path, position: &str) -> Result<()> {
        let log = bin.join(format!("{}.build.log", self.name));
        let what = format!("building {}{position}", self.name);
        // Go names what it downloads and what it compiles, not what it finds in its cache.
        let done = || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let downloads = said
                .lines()
                .filter(|line| line.starts_with("go: downloading"))
                .count();
            let packages = said
                .lines()
                .filter(|line| !line.starts_with("go: "))
                .count();
            format!(", {downloads} modules downloaded, {packages} packages compiled")
        };
        step_with_detail(&what, done, || {
            let log_file =
                File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
            let mut command = Command::new("go");
            command
                .args([
                    "build",
                    "-v",
                    "-trimpath",
                    "-ldflags",
                    &self.linker_flags(),
                    "-o",
                ])
                .arg(bin.join(self.name))
                .arg(self.package)
                .current_dir(module_folder(self.module))
                .env("CGO_ENABLED", "0")
                .stdin(Stdio::null())
                .stderr(log_file);
            let status = command.status().context("can't start go")?;
            if !status.success() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let end = said.lines().rev().take(20).collect::<Vec<_>>();
                let end = end.into_iter().rev().collect::<Vec<_>>().join("\n");
                bail!("{}: {status}\n{end}", command::line(&command));
            }
            fs::remove_file(&log).with_context(|| format!("can't remove {}", log.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_reports_the_version_that_the_module_has() {
        assert_eq!(
            PROGRAMS[0].linker_flags(),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35"
        );
        let module = fs::read_to_string(module_folder("kubernetes").join("go.mod")).unwrap();
        assert!(module.contains(&format!("k8s.io/kubernetes {KUBERNETES}")));
    }
}
