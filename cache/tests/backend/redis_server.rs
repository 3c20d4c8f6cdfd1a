//! Real servers, on ports and in folders of their own, gone with the test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

const STARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority of the test's own, and a certificate by it for servers on this machine.
pub(crate) struct Authority {
    pub(crate) pem: String,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        // Named apart from what it signs, or that counts as signed by itself.
        ca.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), &pem).unwrap();
        fs::write(folder.path().join("server.pem"), server.pem()).unwrap();
        fs::write(folder.path().join("server.key"), key.serialize_pem()).unwrap();
        Authority { pem, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// A `redis-server`; ended when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// Of the cluster's own traffic.
    pub(crate) bus: u16,
    words: Vec<String>,
    ca: Option<PathBuf>,
    folder: TempDir,
    process: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// With these words on its command line besides its own.
    pub(crate) fn start(words: &[&str], authority: Option<&Authority>) -> Server {
        // A port may be gone between the question and the start.
        for _ in 0..STARTS {
            let mut server = Server {
                port: free_port(),
                bus: free_port(),
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                ca: authority.map(|authority| authority.file("ca.pem").into()),
                folder: tempfile::tempdir().unwrap(),
                process: None,
            };
            if let Some(authority) = authority {
                let files = [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")];
                for (word, file) in files {
                    server.words.extend([format!("--tls-{word}-file"), authority.file(file)]);
                }
                server.words.extend(["--tls-auth-clients", "no"].map(str::to_owned));
            }
            if server.begin() {
                return server;
            }
        }
        panic!("redis-server did not start {STARTS} times, on free ports");
    }

    /// Ended and not begun again, it leaves its ports to itself.
    pub(crate) fn begin(&mut self) -> bool {
        let (port, none) = (self.port.to_string(), "0".to_owned());
        let (plain, tls) = if self.ca.is_some() { (none, port) } else { (port, none) };
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &plain, "--tls-port", &tls])
            .args(["--dir", &self.folder.path().display().to_string()])
            .args(&self.words)
            .args(if self.words.iter().any(|word| word == "--cluster-enabled") {
                vec!["--cluster-port".to_owned(), self.bus.to_string()]
            } else {
                Vec::new()
            })
            .stdout(log)
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(child.expect("the Debian package redis-server is missing"));
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.cli(&["ping"]) == "PONG" {
                return true;
            }
            if self.process.as_mut().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// What it answers.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(ca) = &self.ca {
            command.args([Path::new("--tls"), Path::new("--cacert"), ca.as_path()]);
        }
        let done = command.args(words).output().expect("the Debian package redis-tools is missing");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.ca.is_some() { "rediss" } else { "redis" }, self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters, each with a third of the slots, that serve theirs when others are gone.
pub(crate) struct Masters(pub(crate) Vec<Server>);

/// Where each master's slots begin and end.
pub(crate) const SLOTS: [(usize, usize); 3] = [(0, 5_461), (5_462, 10_922), (10_923, 16_383)];

impl Masters {
    pub(crate) fn start(authority: Option<&Authority>) -> Masters {
        let mut words = vec![
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
            "--cluster-announce-ip",
            "127.0.0.1",
        ];
        if authority.is_some() {
            words.extend(["--tls-cluster", "yes"]);
        }
        let servers: Vec<Server> = SLOTS.iter().map(|_| Server::start(&words, authority)).collect();
        for (at, (server, (first, last))) in servers.iter().zip(SLOTS).enumerate() {
            let done = server.cli(&["cluster", "addslotsrange", &first.to_string(), &last.to_string()]);
            assert_eq!(done, "OK");
            assert_eq!(server.cli(&["cluster", "set-config-epoch", &(at + 1).to_string()]), "OK");
            let (port, bus) = (servers[0].port.to_string(), servers[0].bus.to_string());
            assert_eq!(server.cli(&["cluster", "meet", "127.0.0.1", &port, &bus]), "OK");
        }
        let masters = Masters(servers);
        masters.wait();
        masters
    }

    /// Until each knows where all slots are.
    pub(crate) fn wait(&self) {
        let began = Instant::now();
        let knows = |server: &Server| {
            let info = server.cli(&["cluster", "info"]);
            ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"]
                .iter()
                .all(|line| info.contains(line))
        };
        while !self.0.iter().all(knows) {
            assert!(began.elapsed() < PATIENCE, "{}", self.0[0].cli(&["cluster", "info"]));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn slot(&self, key: &str) -> usize {
        let up = self.0.iter().find(|server| server.process.is_some()).unwrap();
        up.cli(&["cluster", "keyslot", key]).parse().unwrap()
    }
}
