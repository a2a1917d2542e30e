//! Servers and clients in the nodes of a lab.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use vnet::kernel::Realm;
use vnet::kernel::process::Entrance;
use vnet::{Desired, NodeName};

/// How long an answer may take where one is expected: neighbours may have to be asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one is waited for where none is expected.
const IMPATIENCE: Duration = Duration::from_millis(400);

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It came to the server, which saw it come from this address.
    From(IpAddr),
    /// Nothing came back.
    Lost,
    /// A TCP reset, or ICMP "port unreachable", came back.
    Refused,
    /// Another ICMP error came back.
    Unreachable,
}

/// The nodes of a lab that is up.
pub(crate) struct Net<'d> {
    realm: Realm,
    desired: &'d Desired,
}

impl<'d> Net<'d> {
    pub(crate) fn new(desired: &'d Desired) -> Self {
        Self { realm: Realm::own().unwrap(), desired }
    }

    /// Does something in a node.
    pub(crate) fn within<T: Send + 'static>(
        &self,
        node: &str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let ns = &self.desired.nodes[&NodeName::new(node).unwrap()];
        let entrance = Entrance::new(self.realm.descriptor(ns).unwrap(), "");
        let inside = move || {
            entrance.enter().unwrap();
            job()
        };
        std::thread::spawn(inside).join().unwrap()
    }

    /// Serves TCP and UDP at some ports of a node: who asks is told his own address.
    pub(crate) fn serve(&self, node: &str, ports: &[u16]) {
        for port in ports {
            let port = *port;
            let open = move || {
                // IPv4 clients are seen as mapped addresses.
                (TcpListener::bind(("::", port)).unwrap(), UdpSocket::bind(("::", port)).unwrap())
            };
            let (tcp, udp) = self.within(node, open);
            std::thread::spawn(move || {
                for stream in tcp.incoming().flatten() {
                    let peer = stream.peer_addr().map(|peer| peer.ip().to_canonical());
                    if let Ok(peer) = peer {
                        // A client that has gone is no matter here.
                        let _ = (&stream).write_all(peer.to_string().as_bytes());
                    }
                }
            });
            std::thread::spawn(move || {
                let mut buffer = [0; 16];
                while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(peer.ip().to_canonical().to_string().as_bytes(), peer);
                }
            });
        }
    }

    /// Sends to `tcp/ADDRESS:PORT` or `udp/ADDRESS:PORT`, and checks what becomes of it.
    #[track_caller]
    pub(crate) fn check(&self, from: &str, to: &str, expected: &Outcome, when: &str) {
        let (protocol, addr) = to.split_once('/').unwrap();
        let patience = if *expected == Outcome::Lost { IMPATIENCE } else { PATIENCE };
        let outcome = match protocol {
            "tcp" => self.tcp(from, addr, patience),
            _ => self.udp(from, addr, patience),
        };
        assert_eq!(outcome, *expected, "{from} to {to} with {when}");
    }

    fn tcp(&self, from: &str, to: &str, patience: Duration) -> Outcome {
        let to: SocketAddr = to.parse().unwrap();
        self.within(from, move || {
            let connected = TcpStream::connect_timeout(&to, patience);
            outcome(connected.and_then(|mut stream| {
                stream.set_read_timeout(Some(patience))?;
                let mut buffer = [0; 64];
                let length = stream.read(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
            }))
        })
    }

    fn udp(&self, from: &str, to: &str, patience: Duration) -> Outcome {
        let to: SocketAddr = to.parse().unwrap();
        self.within(from, move || {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(patience)).unwrap();
            let asked = socket.connect(to).and_then(|()| socket.send(b"who"));
            outcome(asked.and_then(|_| {
                let mut buffer = [0; 64];
                let length = socket.recv(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
            }))
        })
    }
}

fn outcome(answer: std::io::Result<String>) -> Outcome {
    match answer {
        Ok(text) => Outcome::From(text.parse().unwrap()),
        Err(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Outcome::Lost,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Outcome::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Outcome::Unreachable,
            // A dropped packet of one's own: sendto says so.
            ErrorKind::PermissionDenied => Outcome::Lost,
            other => panic!("{other:?}: {error}"),
        },
    }
}
