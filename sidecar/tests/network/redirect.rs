//! What the redirect's rules do, which only a kernel can tell.

use crate::pod::{PodNetwork, connect, family, launch, launch_with, redirect_mark};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted};
use ebb_api::settings::Settings;
use ebb_netns::bootstrap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// No policy selects the pod, and one port is left alone.
fn bootstrap() -> Bootstrap {
    Bootstrap {
        exclude_ports: vec![8081],
        capture: Wanted::only(Mode::Redirect),
        ..bootstrap::of(Settings::without_policy())
    }
}

/// IPv4 and IPv6: ports that the app listens on reach the relay, which learns where they were
/// meant to go; ports that nobody listens on stay refused; excluded ports and our own are left
/// alone; what comes from inside the pod is left alone; a second run changes nothing.
#[test]
fn inbound_connections_reach_the_relay() {
    let pod = PodNetwork::new();
    for run in ["first", "second"] {
        let (output, mark) = pod.redirect(&bootstrap());
        assert!(output.status.success());
        assert_eq!(mark, redirect_mark(&pod.addresses), "{run} run: {output:?}");
    }
    pod.listen("[::]:17440", "relay");
    pod.listen("[::]:17441", "admin");
    pod.listen("[::]:8080", "app");
    pod.listen("[::]:8081", "excluded");
    pod.listen("0.0.0.0:8082", "app");
    for address in pod.addresses {
        for (port, who) in [(8080, "relay"), (8081, "excluded"), (17441, "admin")] {
            let expected = format!("{who} for {}", SocketAddr::new(address, port));
            assert_eq!(connect(address, port), Ok(expected));
        }
        assert_eq!(
            connect(address, 8083),
            Err(std::io::ErrorKind::ConnectionRefused),
            "{address}: nobody listens there"
        );
        let inside = SocketAddr::new(address, 8080);
        let answer = pod.connect_from_inside(inside);
        let expected = format!("app for {inside}");
        assert_eq!(answer, expected);
    }
    let [four, six] = pod.addresses;
    let meant = SocketAddr::new(four, 8082);
    assert_eq!(connect(four, 8082), Ok(format!("relay for {meant}")));
    assert_eq!(
        connect(six, 8082),
        Err(std::io::ErrorKind::ConnectionRefused),
        "that app listens on IPv4 alone"
    );
}

/// Without the privilege the step ends well, and the pod serves without it.
#[test]
fn without_the_privilege_the_pod_serves_without_redirect() {
    let pod = PodNetwork::new();
    let (output, mark) =
        pod.redirect_by(&launch(&bootstrap()).by(&["setpriv", "--bounding-set", "-net_admin"]));
    assert!(output.status.success(), "{output:?}");
    // Nor may it leave a mark then, so the sidecar finds none and says so.
    assert_eq!(mark, "");
    pod.listen("[::]:8080", "app");
    for address in pod.addresses {
        assert_eq!(connect(address, 8080), Ok("app".to_owned()));
    }
}

/// A damaged bootstrap leaves everything alone, and the mark says why.
#[test]
fn a_damaged_bootstrap_redirects_nothing() {
    let pod = PodNetwork::new();
    let (output, mark) = pod.redirect_by(&launch_with("{"));
    assert!(output.status.success(), "{output:?}");
    assert!(
        mark.starts_with("ebb {\"Failed\":\"the variable EBB_BOOTSTRAP"),
        "{mark}"
    );
    pod.listen("[::]:8080", "app");
    assert_eq!(connect(pod.addresses[0], 8080), Ok("app".to_owned()));
}

/// The whole way: client, redirect, the sidecar's own process, app; IPv4 and IPv6.
#[test]
fn the_sidecar_serves_behind_the_redirect() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar(&bootstrap());
    let answers = pod.addresses.map(|address| connect(address, 8080));
    for (address, answer) in pod.addresses.into_iter().zip(answers) {
        assert_eq!(
            answer,
            Ok(format!("app for {}", SocketAddr::new(address, 8080)))
        );
    }
}

/// Somebody else's alias took the place of the mark: the rules are in force all the same, and
/// nobody is cut off by them.
#[test]
fn a_lost_mark_cuts_nobody_off() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    pod.ip("link set lo alias uplink");
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar(&bootstrap());
    for address in pod.addresses {
        let expected = format!("app for {}", SocketAddr::new(address, 8080));
        assert_eq!(connect(address, 8080), Ok(expected));
    }
}

/// The pod's addresses are routed by `lo` and by nothing else, also after a second run, and nobody
/// who has to find the pod is misled: neighbors that know nothing any more find it, and what the
/// pod opens to others gets there.
#[test]
fn the_pod_is_found_as_before() {
    let pod = PodNetwork::new();
    pod.listen("[::]:17440", "relay");
    pod.listen("[::]:8080", "app");
    for _ in 0..2 {
        pod.redirect(&bootstrap());
        for (address, outside) in pod.addresses.into_iter().zip(pod.outside_addresses) {
            let routes = pod.local_routes(address);
            assert!(
                routes.len() == 1 && routes[0].contains(" dev lo "),
                "{routes:?}"
            );
            pod.forget_neighbors();
            let expected = format!("relay for {}", SocketAddr::new(address, 8080));
            assert_eq!(connect(address, 8080), Ok(expected));
            pod.forget_neighbors();
            let listener = TcpListener::bind((outside, 0)).unwrap();
            let to = listener.local_addr().unwrap();
            let answering = thread::spawn(move || {
                let (mut stream, peer) = listener.accept().unwrap();
                write!(stream, "{}", peer.ip()).unwrap();
            });
            assert_eq!(pod.connect_from_inside(to), address.to_string());
            answering.join().unwrap();
        }
    }
}

/// Where a connection over `lo` does not work, because of a route that we do not know, the address
/// keeps the routes that it had, and the pod serves.
#[test]
fn routes_that_do_not_work_are_put_back() {
    let pod = PodNetwork::new();
    let devices = |address| -> Vec<bool> {
        let routes = pod.local_routes(address);
        routes
            .iter()
            .map(|route| route.contains(" eth0 "))
            .collect()
    };
    for address in pod.addresses {
        let family = family(address);
        let route = format!("local {address} dev eth0 table local metric 5");
        pod.ip(&format!("{family} route add {route}"));
        assert_eq!(devices(address), [true, true]);
    }
    let (output, mark) = pod.redirect(&bootstrap());
    assert_eq!(mark, redirect_mark(&[]), "{output:?}");
    pod.listen("[::]:8080", "app");
    let _sidecar = pod.sidecar(&bootstrap());
    for address in pod.addresses {
        assert_eq!(devices(address), [true, true], "{output:?}");
        let expected = format!("app for {}", SocketAddr::new(address, 8080));
        assert_eq!(connect(address, 8080), Ok(expected));
    }
}

/// The number of ports that the app can be dialed from, in the next two tests.
const PORTS: usize = 64;

/// Makes connections that are closed by their client first, until one is lost; returns how many
/// were not.
fn connections_until_one_is_lost(address: IpAddr, at_most: usize) -> usize {
    let works = |_: &usize| {
        let exchange = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect((address, 8080))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"x")?;
            stream.read_exact(&mut [0])
        };
        exchange().is_ok()
    };
    (0..at_most).take_while(works).count()
}

fn few_ports(pod: &PodNetwork) {
    let last = 40000 + PORTS - 1;
    pod.set("net/ipv4/ip_local_port_range", &format!("40000 {last}"));
}

/// Connections that their clients close first leave the relay's ports in TIME_WAIT for a minute.
/// More of them than there are ports are served, since ports of connections over `lo` are free
/// again after a second.
#[test]
fn ports_in_time_wait_are_used_again() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    few_ports(&pod);
    pod.echo("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap());
    for address in pod.addresses {
        let number = PORTS * 5 / 2;
        assert_eq!(connections_until_one_is_lost(address, number), number);
    }
    assert!(sidecar.metric("ebb_port_waits_total") > 0);
    assert_eq!(sidecar.metric("ebb_port_losses_total"), 0);
}

/// Without the mark's word the sidecar does not dial over `lo`. The ports then run out, which is
/// waited for, for a while, and counted.
#[test]
fn ports_that_ran_out_are_counted() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    pod.run("ip", &["link", "set", "lo", "alias", &redirect_mark(&[])]);
    few_ports(&pod);
    pod.echo("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap());
    assert_eq!(
        connections_until_one_is_lost(pod.addresses[0], 2 * PORTS),
        PORTS
    );
    assert_eq!(sidecar.metric("ebb_port_waits_total"), 1);
    assert_eq!(sidecar.metric("ebb_port_losses_total"), 1);
}

/// When somebody changes the routes under a running sidecar, connections take longer until that is
/// known, and none is lost.
#[test]
fn a_changed_route_loses_nothing() {
    let pod = PodNetwork::new();
    pod.redirect(&bootstrap());
    pod.echo("[::]:8080");
    let _sidecar = pod.sidecar(&bootstrap());
    for address in pod.addresses {
        assert_eq!(connections_until_one_is_lost(address, 1), 1);
        let family = family(address);
        let route = format!("local {address} dev eth0 table local metric 5");
        pod.ip(&format!("{family} route add {route}"));
        assert_eq!(connections_until_one_is_lost(address, 3), 3);
    }
}
