//! The way to a server: names, ports, TLS and proxies, without leaving this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use org_agent::model::Trouble;
use org_agent::model::openai::OpenAi;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use socket2::{Domain, Socket, Type};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, version};

use crate::fake_model::{FakeModel, Reply};
use crate::{SHORT, ask, failure, remote};

/// A model at `url` with these lines of its table.
fn at(url: &str, lines: &str) -> OpenAi {
    OpenAi::new(remote(&format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\n{lines}"), &[]))
}

/// A port on which nobody listens any more.
fn gone() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A port that reads a little of every connection, says `answer` and closes it.
fn port_that_says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = format!("http://{}/v1", gone());
    let model = OpenAi::new(remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]));
    let failure = failure(&model).await;
    assert!(failure.message.starts_with(&format!("cannot connect to {url}: ")), "{failure:?}");
    assert!(failure.message.contains("refused") && !failure.transient, "{failure:?}");
    assert!(failure.hint.contains("environment variable OPENAI_BASE_URL"), "{failure:?}");
    assert_eq!(failure.trouble, Trouble::Unreachable);
}

/// A listener with a full queue: the system answers nobody who would connect.
#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_as_long_as_config_says() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    let mut remote =
        remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &format!("http://{address}"))]);
    remote.terms.patience.connect = SHORT;
    let failure = failure(&OpenAi::new(remote)).await;
    assert_eq!(failure.message, format!("cannot connect to http://{address}/: no answer within 0 s"));
    assert!(failure.hint.contains("firewall") && failure.hint.contains("OPENAI_BASE_URL"), "{failure:?}");
    assert!(failure.trouble == Trouble::Unreachable && failure.transient, "{failure:?}");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told() {
    let failure = failure(&at("http://nosuch.invalid/v1", "proxy = 'none'")).await;
    assert!(failure.message.starts_with("cannot connect to http://nosuch.invalid/v1: "), "{failure:?}");
    assert!(failure.hint.starts_with("is there a network?"), "{failure:?}");
    assert!(failure.trouble == Trouble::Dns && failure.transient, "{failure:?}");
}

/// TLS before `to`, with this certificate and key; its port.
async fn tls(to: &FakeModel, certificate: &rcgen::Certificate, key: &KeyPair) -> u16 {
    let to = to.base_url()["http://".len()..].trim_end_matches("/v1").to_owned();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate leaves.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut server = tokio::net::TcpStream::connect(&to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            }
        }
    });
    port
}

fn names() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

#[tokio::test]
async fn a_certificate_is_trusted_if_config_names_it_or_its_issuer() {
    let server = FakeModel::start();
    let dir = tempfile::tempdir().unwrap();
    let (own_key, issuer_key, key) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let own = names().self_signed(&own_key).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&issuer_key).unwrap();
    let issued = names().signed_by(&key, &Issuer::new(authority, issuer_key)).unwrap();
    for (name, trusted, shown, key) in [("own", &own, &own, &own_key), ("issued", &root, &issued, &key)] {
        let port = tls(&server, shown, key).await;
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("https://{host}:{port}/v1");
            let failure = failure(&at(&url, "")).await;
            assert!(failure.message.starts_with(&format!("cannot connect to {url}: ")), "{failure:?}");
            assert!(failure.message.contains("certificate"), "{failure:?}");
            assert!(failure.hint.contains("name it with ca_file in config.toml"), "{failure:?}");
            assert!(failure.trouble == Trouble::Tls && !failure.transient, "{failure:?}");

            let file = dir.path().join(name);
            std::fs::write(&file, trusted.pem()).unwrap();
            server.reply_with("x");
            let (text, end) = ask(&at(&url, &format!("ca_file = '{}'", file.display()))).await;
            assert!(text == "x" && end.as_ref().is_some_and(Result::is_ok), "{name} {host}: {end:?}");
            server.take_request().await;
        }
    }
}

/// What `openssl req -x509` makes unless it is told otherwise: the certificate of an authority, shown by a server.
#[tokio::test]
async fn a_server_that_shows_the_certificate_of_an_authority_is_told_apart() {
    let server = FakeModel::start();
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut both = names();
    both.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let both = both.self_signed(&key).unwrap();
    let port = tls(&server, &both, &key).await;
    let file = dir.path().join("both");
    std::fs::write(&file, both.pem()).unwrap();
    let model = at(&format!("https://localhost:{port}"), &format!("ca_file = '{}'", file.display()));
    let failure = failure(&model).await;
    assert_eq!(failure.trouble, Trouble::Tls);
    assert!(failure.hint.contains("basicConstraints=critical,CA:FALSE"), "{failure:?}");
}

#[tokio::test]
async fn a_file_of_certificates_that_has_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    for (text, why) in [(None, "No such file"), (Some("# none\n"), "there is no certificate in it")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let model = at("https://localhost:1", &format!("ca_file = '{}'", file.display()));
        let failure = failure(&model).await;
        assert!(failure.message.contains(why) && failure.hint.contains("ca_file"), "{failure:?}");
        assert!(failure.trouble == Trouble::Configuration && !failure.transient, "{failure:?}");
    }
}

#[tokio::test]
async fn http_and_https_are_not_mixed_up_in_silence() {
    // Servers answer so, or close.
    for answer in [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], b""] {
        let failure = failure(&at(&format!("https://{}", port_that_says(answer)), "")).await;
        assert_eq!(failure.trouble, Trouble::Tls, "{failure:?}");
        assert!(failure.hint.contains("a server without TLS has http://"), "{failure:?}");
        assert!(!failure.transient, "{failure:?}");
    }
    let server = FakeModel::start();
    let key = KeyPair::generate().unwrap();
    let port = tls(&server, &names().self_signed(&key).unwrap(), &key).await;
    let failure = failure(&at(&format!("http://127.0.0.1:{port}"), "")).await;
    assert!(failure.message.starts_with("what answers at http://127.0.0.1:"), "{failure:?}");
    assert!(failure.hint.starts_with("if the server has TLS, write https://"), "{failure:?}");
    assert!(failure.trouble == Trouble::Garbled && !failure.transient, "{failure:?}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_address() {
    let proxy = FakeModel::start();
    let through = proxy.base_url().trim_end_matches("/v1").to_owned();
    // Nobody looks the name up here.
    let model = at("http://models.invalid/v1", &format!("proxy = '{through}'"));
    proxy.reply_with("x");
    assert_eq!(ask(&model).await.0, "x");
    assert_eq!(proxy.take_request().await.path, "http://models.invalid/v1/chat/completions");
    proxy.push(Reply::page(407, "text/plain", "who are you?"));
    let failure = failure(&model).await;
    assert!(failure.hint.contains("set another with proxy in config.toml"), "{failure:?}");
    assert!(failure.trouble == Trouble::Unreachable && !failure.transient, "{failure:?}");
    proxy.take_request().await;
}

#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    let gone = gone();
    let wary = port_that_says(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let broken = port_that_says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    let cases = [("http", gone), ("https", gone), ("https", wary), ("https", broken)];
    for (scheme, proxy) in cases {
        let url = format!("{scheme}://models.invalid/v1");
        let failure = failure(&at(&url, &format!("proxy = 'http://{proxy}'"))).await;
        let begin = format!("cannot connect to {url} through the proxy {proxy}: ");
        assert!(failure.message.starts_with(&begin), "{failure:?}");
        let what = if proxy == wary { "wants a password" } else { "correct proxy in config.toml" };
        assert!(failure.hint.contains(what), "{failure:?}");
        assert!(failure.trouble == Trouble::Unreachable, "{failure:?}");
        assert_eq!(failure.transient, proxy == broken, "{failure:?}");
    }
}
