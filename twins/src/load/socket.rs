//! The sockets of the load generator: opened without blocking, from a source address of choice.

use mio::net::TcpStream;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
    sockopt,
};
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsRawFd,
    str::FromStr,
};

/// Where connections come from: each address offers its own ports towards the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    addresses: Vec<IpAddr>,
    ports: Option<(u16, u16)>,
}

/// Why `--source` could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no source addresses: {problem}. Use `127.0.0.2`, `127.0.0.2-127.0.0.9`, and `:40000-49999` behind it for the ports"
)]
pub struct BadSources {
    text: String,
    problem: &'static str,
}

impl FromStr for Sources {
    type Err = BadSources;

    fn from_str(text: &str) -> Result<Self, BadSources> {
        let bad = |problem| BadSources { text: text.to_owned(), problem };
        let (hosts, ports) = match text.split_once(':') {
            Some((hosts, ports)) => {
                let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
                let number =
                    |s: &str| s.parse::<u16>().ok().filter(|p| *p > 0).ok_or(bad("a port is 1 to 65535"));
                (hosts, Some((number(from)?, number(to)?)))
            }
            None => (text, None),
        };
        let (first, last) = hosts.split_once('-').unwrap_or((hosts, hosts));
        let address =
            |s: &str| s.parse::<Ipv4Addr>().map(u32::from).map_err(|_| bad("an address is like 127.0.0.2"));
        let (first, last) = (address(first)?, address(last)?);
        if last < first || ports.is_some_and(|(a, b)| b < a) {
            return Err(bad("a range ascends"));
        }
        if last - first >= 65_536 {
            return Err(bad("more than 65,536 addresses"));
        }
        Ok(Self { addresses: (first..=last).map(|a| IpAddr::V4(Ipv4Addr::from(a))).collect(), ports })
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.addresses[..] {
            [] => {}
            [one] => write!(f, "{one}")?,
            [first, .., last] => write!(f, "{first}-{last}")?,
        }
        self.ports.map_or(Ok(()), |(from, to)| write!(f, ":{from}-{to}"))
    }
}

impl Sources {
    /// Connections that they allow towards one broker, if that is known.
    pub fn room(&self) -> Option<u64> {
        let addresses = self.addresses.len().max(1) as u64;
        let a_host = match self.ports {
            Some((from, to)) => u64::from(to - from) + 1,
            None => {
                let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
                let mut ends = range.split_whitespace().map(str::parse::<u64>);
                let (Some(Ok(from)), Some(Ok(to))) = (ends.next(), ends.next()) else { return None };
                to - from + 1
            }
        };
        Some(addresses * a_host)
    }

    /// The sources among which the n-th connection and its successors take turns: as many different ones follow each other. One,
    /// where the kernel chooses the port.
    fn turns(&self) -> u64 {
        let ports = self.ports.map_or(0, |(from, to)| u64::from(to - from) + 1);
        (self.addresses.len() as u64 * ports).max(1)
    }

    /// An address that this machine does not have, if there is one among them.
    pub fn foreign(&self) -> Option<IpAddr> {
        let foreign = |a: &&IpAddr| {
            let bound = std::net::UdpSocket::bind(SocketAddr::new(**a, 0));
            bound.is_err_and(|e| e.kind() == io::ErrorKind::AddrNotAvailable)
        };
        self.addresses.iter().find(foreign).copied()
    }

    /// The source of the n-th connection; port 0: any.
    fn of(&self, n: u64) -> Option<SocketAddr> {
        let count = self.addresses.len() as u64;
        let address = *self.addresses.get(n.checked_rem(count)? as usize)?;
        let port = self.ports.map_or(0, |(from, to)| {
            let span = u64::from(to - from) + 1;
            from + (n / count % span) as u16
        });
        Some(SocketAddr::new(address, port))
    }
}

/// How sockets are opened.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The broker.
    pub to: SocketAddr,
    /// Where from.
    pub sources: Sources,
    /// TCP_NODELAY.
    pub no_delay: bool,
}

/// Sources that are tried for one connection before it is said that none is left.
const MOST_TRIES: u64 = 1_024;

impl Dial {
    /// Begins the n-th connection, or one of those after it whose source nobody has: connections last, and after so many that were
    /// made again the turn comes to a port that is still in use. Returns the number of the one begun, too; it is up when the socket
    /// is writable.
    ///
    /// # Errors
    /// What the system says of the last that was tried.
    pub fn open(&self, n: u64) -> io::Result<(TcpStream, u64)> {
        let last = n + self.sources.turns().min(MOST_TRIES) - 1;
        for n in n..last {
            match self.begin(n) {
                Err(e) if is_taken(&e) => {}
                begun => return begun.map(|stream| (stream, n)),
            }
        }
        self.begin(last).map(|stream| (stream, last))
    }

    fn begin(&self, n: u64) -> io::Result<TcpStream> {
        let family = if self.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Stream, flags, SockProtocol::Tcp)?;
        if self.no_delay {
            setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        }
        if let Some(source) = self.sources.of(n) {
            if source.port() == 0 {
                // The port is chosen with the destination known, so that it is scarce per destination only.
                setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
            } else {
                setsockopt(&fd, sockopt::ReuseAddr, &true)?;
            }
            bind(fd.as_raw_fd(), &SockaddrStorage::from(source))?;
        }
        match connect(fd.as_raw_fd(), &SockaddrStorage::from(self.to)) {
            Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(TcpStream::from_std(std::net::TcpStream::from(fd)))
    }
}

/// Whether somebody has the source of a connection already.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_dealt_out() {
        let sources: Sources = "127.0.0.2-127.0.0.4:40000-40001".parse().unwrap();
        assert_eq!((sources.room(), sources.turns()), (Some(6), 6));
        let all: std::collections::BTreeSet<_> = (0..6).map(|n| sources.of(n).unwrap()).collect();
        assert_eq!(all.len(), 6);
        assert_eq!("127.0.0.2".parse::<Sources>().unwrap().of(5), Some("127.0.0.2:0".parse().unwrap()));
        for bad in ["", "x", "127.0.0.9-127.0.0.2", "127.0.0.2:0", "127.0.0.2:9-8", "0.0.0.0-255.255.255.255"]
        {
            assert!(bad.parse::<Sources>().is_err(), "{bad}");
        }
        assert_eq!((Sources::default().of(3), Sources::default().turns()), (None, 1));
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        assert_eq!("127.0.0.2-127.0.0.9".parse::<Sources>().unwrap().foreign(), None);
        // Of a range that documents use and nobody has.
        let foreign = "127.0.0.2".parse::<Sources>().map(|s| Sources {
            addresses: [s.addresses, vec![IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))]].concat(),
            ports: None,
        });
        assert_eq!(foreign.unwrap().foreign(), Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))));
    }
}
