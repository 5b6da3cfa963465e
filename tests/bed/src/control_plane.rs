//! The processes of the control plane and their flags.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use ebb_netns::command;
use ebb_netns::{eventually, explain};

use super::certificates::inside;
use super::folders::{Folders, INSIDE};
use super::machine::CONTROL_PLANE;
use super::network::{API_PORT, CONTROL_PLANE_ADDRESS, POD_RANGE, SERVICE_RANGE};
use super::process::{Component, Identity, enter};

/// etcd and the API server: started first.
pub fn api() -> [Component; 2] {
    [etcd(), api_server()]
}

/// The controller manager and the scheduler. They end when the API server does not yet have the
/// roles that they need, so they start when it is ready.
pub fn managers() -> [Component; 2] {
    [controller_manager(), scheduler()]
}

/// A kubectl in the control plane's network, as an administrator.
pub fn kubectl(control_plane: Identity, folders: &Folders) -> Command {
    let mut command = enter(control_plane, &["--net"]);
    command.arg(folders.programs().join("kubectl"));
    use_cluster(&mut command, folders);
    command
}

/// Makes kubectl and helm talk to the cluster, and keep what they remember about it where it ends
/// with the cluster: the next one has the same address.
pub fn use_cluster(command: &mut Command, folders: &Folders) {
    let memory = folders.bed().join("clients");
    command
        .env("KUBECONFIG", folders.kubeconfig())
        .env("KUBECACHEDIR", memory.join("kubectl"))
        .env("HELM_CACHE_HOME", memory.join("helm/cache"))
        .env("HELM_CONFIG_HOME", memory.join("helm/config"))
        .env("HELM_DATA_HOME", memory.join("helm/data"));
}

/// Waits until the API server says that it is ready.
pub fn wait_until_ready(
    control_plane: Identity,
    server: Identity,
    folders: &Folders,
) -> Result<()> {
    let mut said = String::new();
    let result = eventually(
        "the API server to be ready",
        Duration::from_secs(120),
        || {
            if !server.is_alive() {
                bail!("the API server ended");
            }
            let mut command = kubectl(control_plane, folders);
            let output =
                command::output(command.args(["get", "--raw=/readyz", "--request-timeout=2s"]))?;
            said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Ok(output.status.success().then_some(()))
        },
    );
    result.or_else(|error| {
        let logs =
            ["kube-apiserver", "etcd"].map(|name| folders.logs().join(format!("{name}.log")));
        bail!(
            "{error}: {said}{}{}",
            explain::of_log(&logs[0]),
            explain::of_log(&logs[1])
        )
    })
}

fn component(name: &str, program: &str, arguments: Vec<String>) -> Component {
    Component {
        name: name.to_owned(),
        machine: CONTROL_PLANE,
        program: program.to_owned(),
        arguments,
    }
}

fn etcd() -> Component {
    let arguments = [
        "--name=control-plane",
        "--data-dir=/var/lib/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=control-plane=http://127.0.0.1:2380",
        // The data lives as long as the bed: nothing to save from a power cut.
        "--unsafe-no-fsync",
    ];
    let program = format!("{INSIDE}/debian/usr/bin/etcd");
    component("etcd", &program, arguments.map(str::to_owned).to_vec())
}

fn api_server() -> Component {
    let certificate = |flag: &str, file: &str| format!("--{flag}={}", inside(file));
    let arguments = vec![
        format!("--advertise-address={CONTROL_PLANE_ADDRESS}"),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--secure-port={API_PORT}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--anonymous-auth=false".to_owned(),
        // Webhooks are called by their pods' addresses: kube-proxy's rules are on the nodes only.
        "--enable-aggregator-routing=true".to_owned(),
        // There is no DNS that knows the nodes' names.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        certificate("client-ca-file", "ca.crt"),
        certificate("tls-cert-file", "apiserver.crt"),
        certificate("tls-private-key-file", "apiserver.key"),
        certificate("kubelet-certificate-authority", "ca.crt"),
        certificate("kubelet-client-certificate", "apiserver-kubelet-client.crt"),
        certificate("kubelet-client-key", "apiserver-kubelet-client.key"),
        certificate("requestheader-client-ca-file", "front-proxy-ca.crt"),
        certificate("proxy-client-cert-file", "front-proxy-client.crt"),
        certificate("proxy-client-key-file", "front-proxy-client.key"),
        "--requestheader-allowed-names=front-proxy".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        certificate("service-account-key-file", "service-accounts.pub"),
        certificate("service-account-signing-key-file", "service-accounts.key"),
    ];
    component(
        "kube-apiserver",
        &format!("{INSIDE}/bin/kube-apiserver"),
        arguments,
    )
}

fn controller_manager() -> Component {
    let own = vec![
        "--use-service-account-credentials".to_owned(),
        format!("--root-ca-file={}", inside("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            inside("service-accounts.key")
        ),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        // The CNI configuration gives each node its range of pods: the order in which the nodes
        // register must not matter to the routes.
        "--allocate-node-cidrs=false".to_owned(),
        format!("--cluster-cidr={POD_RANGE}"),
    ];
    manager("controller-manager", own)
}

fn scheduler() -> Component {
    manager("scheduler", Vec::new())
}

/// One that acts on what the API server has, with flags of its own.
fn manager(name: &str, own: Vec<String>) -> Component {
    let kubeconfig = inside(&format!("{name}.kubeconfig"));
    let mut arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ];
    arguments.extend(own);
    let name = format!("kube-{name}");
    component(&name, &format!("{INSIDE}/bin/{name}"), arguments)
}
