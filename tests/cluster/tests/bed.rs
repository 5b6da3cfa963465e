//! The test bed itself: what every other suite on the cluster takes for granted.

use std::collections::BTreeSet;
use std::time::Duration;

use ebb_bed::Bed;
use ebb_bed::machine::NODES;
use ebb_bed::network::API_SERVICE_ADDRESS;
use ebb_bed::node::PAUSE_IMAGE;
use ebb_cluster::kube_client;
use ebb_cluster::sockets::Sockets;
use ebb_netns::command;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

#[tokio::test]
#[ignore = "needs the cluster: cargo xtask test"]
async fn a_client_outside_of_the_bed_reaches_the_api_server() {
    let client = kube_client::connect(&Bed::attach().unwrap()).await.unwrap();
    let nodes = Api::<Node>::all(client)
        .list(&ListParams::default())
        .await
        .unwrap();
    let names: BTreeSet<_> = nodes
        .items
        .into_iter()
        .filter_map(|node| node.metadata.name)
        .collect();
    assert_eq!(names, NODES.map(str::to_owned).into());
}

#[tokio::test]
#[ignore = "needs the cluster: cargo xtask test"]
async fn a_service_is_reached_from_the_nodes() {
    let bed = Bed::attach().unwrap();
    let service = format!("{API_SERVICE_ADDRESS}:443").parse().unwrap();
    for node in NODES {
        let network = Sockets::of(&bed, node).unwrap();
        let connection = network.connect(service);
        let connection = tokio::time::timeout(Duration::from_secs(10), connection).await;
        connection
            .expect("no answer")
            .unwrap_or_else(|error| panic!("{node}: {error}"));
    }
}

#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn pods_run_on_both_nodes_and_end() {
    let bed = Bed::attach().unwrap();
    let name = "bed-pods";
    bed.kubectl(&["delete", "namespace", name, "--ignore-not-found"])
        .unwrap();
    bed.kubectl(&["create", "namespace", name]).unwrap();
    let in_namespace = |arguments: &[&str]| {
        bed.kubectl(&[&["--namespace", name], arguments].concat())
            .unwrap_or_else(|error| panic!("{error:#}"))
    };
    // The pause program, first of its process namespace, does not hear SIGTERM: little grace.
    let deployment = serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "pause"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "pause"}},
            "template": {
                "metadata": {"labels": {"app": "pause"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "pause", "image": PAUSE_IMAGE}],
                },
            },
        },
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &deployment).unwrap();
    in_namespace(&["apply", "-f", &file.path().to_string_lossy()]);
    in_namespace(&["rollout", "status", "deployment/pause", "--timeout=60s"]);
    let nodes = in_namespace(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    let nodes: BTreeSet<&str> = nodes.split_whitespace().collect();
    assert_eq!(nodes, NODES.into(), "the scheduler spreads the replicas");
    assert_eq!(
        in_namespace(&["logs", "deployment/pause"]),
        "",
        "kubelet serves the logs of a silent program"
    );
    in_namespace(&["delete", "deployment", "pause"]);
    in_namespace(&["wait", "--for=delete", "pod", "--all", "--timeout=60s"]);
    bed.kubectl(&["delete", "namespace", name]).unwrap();
}

#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_program_runs_in_a_nodes_network() {
    let bed = Bed::attach().unwrap();
    let addresses = command::run(
        &mut bed
            .node_command(NODES[1], "ip", &["-4", "address"])
            .unwrap(),
    )
    .unwrap();
    assert!(addresses.contains("198.18.0.12/24"), "{addresses}");
}
