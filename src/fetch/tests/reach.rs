//! Where servers lead: nothing inside is asked for because a server of the Internet says so.
//!
//! In these tests 127.0.0.2 is an address of the Internet.

use std::net::IpAddr;

use super::*;
use crate::reach::{Zone, zone};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn zones(address: IpAddr) -> Zone {
    match address {
        IpAddr::V4(OUTSIDE) => Zone::Internet,
        other => zone(other),
    }
}

fn client_outside() -> Client {
    let options = ClientOptions {
        proxies: Proxies::default(),
        certificates: Certificates::System,
        user_agent: "test/1".to_owned(),
        retry: RetryPolicy::brief(),
        stop: Arc::new(|| false),
    };
    Client::with_zones(options, zones).unwrap()
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 x\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn outside(server: &Server) -> Url {
    Url::parse(&format!("http://{OUTSIDE}:{}/", server.port)).unwrap()
}

#[test]
fn t_e07_a_server_of_the_internet_leads_to_nothing_inside() {
    let inner = Server::answering(&[OK]);
    for host in ["127.0.0.1", "localhost", "127.1", "0x7f000001", "0.0.0.0"] {
        let to = format!("http://{host}:{}/secret", inner.port);
        let outer = Server::on(OUTSIDE, &[&redirect(&to)]);
        let error = download(&client_outside(), &get(outside(&outer))).unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            format!("fetch `{to}`: a server of the Internet leads to `{host}`")
        );
        assert_eq!(outer.heads().len(), 1, "it is not tried again: {host}");
        assert_eq!(inner.heads(), [""; 0], "{host}");
    }
}

#[test]
fn a_server_that_is_inside_leads_where_it_likes() {
    let inner = Server::answering(&[OK]);
    let to = redirect(&inner.url("/file").to_string());
    let outer = Server::answering(&[&to]);
    assert_eq!(
        download(&client_outside(), &get(outer.url("/"))).unwrap(),
        "file"
    );
    // A name is what its addresses are.
    let named = Url::parse(&format!("http://localhost:{}/", outer.port)).unwrap();
    assert_eq!(download(&client_outside(), &get(named)).unwrap(), "file");
}

#[test]
fn a_server_of_the_internet_leads_to_another_one() {
    let other = Server::on(OUTSIDE, &[OK]);
    let server = Server::on(OUTSIDE, &[&redirect(&outside(&other).to_string())]);
    assert_eq!(
        download(&client_outside(), &get(outside(&server))).unwrap(),
        "file"
    );
}

#[test]
fn there_is_no_way_back_inside() {
    let inner = Server::answering(&[OK]);
    let to_inner = redirect(&inner.url("/secret").to_string());
    let last = Server::on(OUTSIDE, &[&to_inner]);
    let first = Server::on(OUTSIDE, &[&redirect(&outside(&last).to_string())]);
    let error = download(&client_outside(), &get(outside(&first))).unwrap_err();
    assert!(matches!(error, FetchError::Inside { .. }), "{error}");
    assert_eq!(inner.heads(), [""; 0]);
}

#[test]
fn what_a_server_names_in_another_way_than_by_a_redirect_counts_as_well() {
    let inner = Server::answering(&[OK]);
    let request = get(inner.url("/token"));
    assert_eq!(download(&client_outside(), &request).unwrap(), "file");
    inner.heads();
    let stranger = Url::parse("https://registry.example/v2/").unwrap();
    let error = download(&client_outside(), &request.named_by(&stranger)).unwrap_err();
    assert!(matches!(error, FetchError::Inside { .. }), "{error}");
    assert_eq!(inner.heads(), [""; 0]);
}
