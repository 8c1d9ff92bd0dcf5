//! An smbd of one test's own, and its clients.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_wire::security::{SecurityDescriptor, sddl};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "ntbak-test";
/// smbcacls and the bindings know no other port; every server has an address of its own instead.
const PORT: u16 = 445;

/// Ends a test early where it cannot run.
macro_rules! need_samba {
    () => {
        if !crate::server::ready() {
            return;
        }
    };
}
pub(crate) use need_samba;

/// Whether an smbd can be run here.
pub(crate) fn ready() -> bool {
    crate::common::nothing_is_missing(missing())
}

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root, and only root runs smbd and writes security.NTACL".to_owned());
    }
    for program in ["smbd", "smbclient", "smbcacls", "smbpasswd", "net", "setpriv"] {
        if Command::new(program).arg("--version").output().is_err() {
            return Some(format!("{program} is not installed"));
        }
    }
    if let Some(why) = missing_bindings() {
        return Some(why);
    }
    if let Err(error) = TcpListener::bind((free_address(), PORT)) {
        return Some(format!("port {PORT} of a local address cannot be had: {error}"));
    }
    let dir = tempfile::tempdir().unwrap();
    let set = rustix::fs::setxattr(dir.path(), "user.ntbak.probe", b"x", rustix::fs::XattrFlags::empty());
    set.err().map(|error| format!("the temporary directory has no extended attributes: {error}"))
}

fn missing_bindings() -> Option<String> {
    let found = Command::new("/usr/bin/python3").args(["-c", "import samba.dcerpc.xattr"]).output();
    match found {
        Ok(out) if out.status.success() => None,
        _ => Some("python3-samba is not installed".to_owned()),
    }
}

/// An address of this machine that nobody else has: 127.x.y.z of process and count.
fn free_address() -> Ipv4Addr {
    static COUNT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = std::process::id().to_le_bytes().first_chunk().map_or([0; 2], |pid: &[u8; 2]| *pid);
    let count = u8::try_from(COUNT.fetch_add(1, Ordering::Relaxed) % 250).unwrap_or_default();
    Ipv4Addr::new(127, 64 + high % 128, low, count + 1)
}

/// smbd with a share of each kind. It ends when this is dropped, whatever happened.
pub(crate) struct Server {
    dir: TempDir,
    address: Ipv4Addr,
    daemon: Child,
}

/// Descriptors in `security.NTACL`, streams in attributes.
pub(crate) const PLAIN: &str = "plain";
/// Descriptors in `user.NTACL`.
pub(crate) const USER_ACL: &str = "user_acl";
/// Names of streams without `:$DATA`.
pub(crate) const UNTYPED: &str = "untyped";
/// Streams in a depot.
pub(crate) const DEPOT: &str = "depot";

const SHARES: [(&str, &str); 4] = [
    (PLAIN, "vfs objects = acl_xattr streams_xattr"),
    (USER_ACL, "vfs objects = acl_xattr streams_xattr\n acl_xattr:security_acl_name = user.NTACL"),
    (UNTYPED, "vfs objects = acl_xattr streams_xattr\n streams_xattr:store_stream_type = no"),
    (DEPOT, "vfs objects = acl_xattr streams_depot"),
];

impl Server {
    pub(crate) fn start() -> Self {
        let dir = TempDir::with_prefix("ntbak-samba-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let address = free_address();
        let at = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path.display().to_string()
        };
        let mut conf = format!(
            "[global]\n server role = standalone server\n netbios name = NTBAK\n workgroup = NTBAK\n \
             private dir = {}\n lock directory = {}\n state directory = {}\n cache directory = {}\n \
             pid directory = {}\n ncalrpc dir = {}\n log file = {}/smbd\n smb ports = {PORT}\n \
             interfaces = {address}/8\n bind interfaces only = yes\n load printers = no\n \
             disable spoolss = yes\n store dos attributes = yes\n ea support = yes\n read only = no\n",
            at("private"),
            at("lock"),
            at("state"),
            at("cache"),
            at("pid"),
            at("ncalrpc"),
            at("log"),
        );
        for (name, options) in SHARES {
            conf += &format!("[{name}]\n path = {}\n {options}\n", at(name));
        }
        let path = dir.path().join("smb.conf");
        fs::write(&path, conf).unwrap();
        input(
            Command::new("smbpasswd").arg("-c").arg(&path).args(["-s", "-a", "root"]),
            &format!("{PASSWORD}\n{PASSWORD}\n"),
        );
        // Without the first, nobody sees or sets a SACL.
        let rights = ["SeSecurityPrivilege", "SeTakeOwnershipPrivilege", "SeRestorePrivilege"];
        input(
            Command::new("net").arg("-s").arg(&path).args(["sam", "rights", "grant", "root"]).args(rights),
            "",
        );
        // When the test is killed, smbd ends; its children are in its group.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "smbd", "-F", "--no-process-group", "-s"]).arg(&path);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { dir, address, daemon: command.spawn().unwrap() };
        server.wait();
        server
    }

    fn wait(&self) {
        let begun = Instant::now();
        let address = SocketAddrV4::new(self.address, PORT).into();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "smbd does not listen: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/smbd")).unwrap_or_default()
    }

    /// A file of a share, as Linux sees it.
    pub(crate) fn path(&self, share: &str, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(share).join(name)
    }

    /// A place that is in no share.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn client(&self, program: &str, share: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-s").arg(self.beside("smb.conf")).arg(format!("-Uroot%{PASSWORD}"));
        command.arg(format!("//{}/{share}", self.address)).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.stdin(Stdio::null());
        command
    }

    /// What smbclient prints for these commands, whether they succeed or not.
    pub(crate) fn try_smbclient(&self, share: &str, commands: &str) -> String {
        let out = self.client("smbclient", share).arg("-c").arg(commands).output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    /// What smbclient prints for these commands, all of which have to succeed.
    #[track_caller]
    pub(crate) fn smbclient(&self, share: &str, commands: &str) -> String {
        let text = self.try_smbclient(share, commands);
        assert!(!text.contains("NT_STATUS_"), "{commands}: {text}\n{}", self.log());
        text
    }

    /// What smbcacls prints for a file with these arguments.
    #[track_caller]
    pub(crate) fn smbcacls(&self, share: &str, name: &str, arguments: &[&str]) -> String {
        let mut command = self.client("smbcacls", share);
        let out = command.arg(name).arg("--domain-sid=S-1-5-21-1-2-3").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "{command:?}: {text}\n{}", self.log());
        text
    }

    /// Writes a file, or with `file:stream` a stream, through Samba.
    #[track_caller]
    pub(crate) fn put(&self, share: &str, name: &str, content: &[u8]) {
        let local = tempfile::NamedTempFile::new().unwrap();
        fs::write(local.path(), content).unwrap();
        self.smbclient(share, &format!("put {} \"{name}\"", local.path().display()));
    }

    /// Reads a file, or with `file:stream` a stream, through Samba.
    #[track_caller]
    pub(crate) fn get(&self, share: &str, name: &str) -> Vec<u8> {
        let local = tempfile::NamedTempFile::new().unwrap();
        self.smbclient(share, &format!("get \"{name}\" {}", local.path().display()));
        fs::read(local.path()).unwrap()
    }

    /// What Samba says of a file.
    #[track_caller]
    pub(crate) fn info(&self, share: &str, name: &str) -> Info {
        let text = self.smbclient(share, &format!("allinfo \"{name}\""));
        let mut info = Info::default();
        for line in text.lines() {
            if let Some(created) = line.strip_prefix("create_time:") {
                info.created = created.trim().to_owned();
            } else if let Some(attributes) = line.strip_prefix("attributes:") {
                let (_, number) = attributes.split_once('(').unwrap();
                info.attributes = u32::from_str_radix(number.trim_end_matches(')'), 16).unwrap();
            } else if let Some(stream) = line.strip_prefix("stream: [:") {
                let (name, size) = stream.split_once(":$DATA], ").unwrap();
                info.streams.insert(name.to_owned(), size.trim_end_matches(" bytes").parse().unwrap());
            }
        }
        assert!(!info.created.is_empty(), "{text}");
        info
    }

    /// The extended attributes of a file over SMB.
    #[track_caller]
    pub(crate) fn eas(&self, share: &str, name: &str) -> BTreeMap<String, Vec<u8>> {
        let text = self.smbclient(share, &format!("geteas \"{name}\""));
        let mut eas: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some((name, _)) = line.strip_suffix(") =").and_then(|line| line.rsplit_once(" (")) {
                name.clone_into(&mut current);
                eas.insert(current.clone(), Vec::new());
            } else if let Some((_, dump)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
                let bytes = dump.get(..50).unwrap_or(dump).split_whitespace();
                let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect(line));
                eas.get_mut(&current).unwrap().extend(bytes);
            }
        }
        // By this the file's side file is found; to Samba it is an EA like any.
        eas.remove("ntbak.side");
        eas
    }

    /// The security descriptor of a file over SMB, in SDDL.
    #[track_caller]
    pub(crate) fn sddl(&self, share: &str, name: &str) -> String {
        let found = self.ask(share, json!({ "do": "descriptor", "name": name }));
        let sddl = to_sddl(&STANDARD.decode(found["sd"].as_str().unwrap()).unwrap());
        // Who asks for a SACL is told that there is one, if only a null one.
        sddl.trim_end_matches("S:NO_ACCESS_CONTROL").to_owned()
    }

    /// Sets owner, group, DACL and SACL of a file over SMB; smbcacls sets no SACL.
    #[track_caller]
    pub(crate) fn set_sddl(&self, share: &str, name: &str, sddl: &str) {
        self.ask(share, json!({ "do": "set_descriptor", "name": name, "sddl": sddl }));
    }

    /// Deletes a file or a stream, which smbclient cannot.
    #[track_caller]
    pub(crate) fn unlink(&self, share: &str, name: &str) {
        self.ask(share, json!({ "do": "unlink", "name": name }));
    }

    fn ask(&self, share: &str, mut asked: Value) -> Value {
        let conf = self.beside("smb.conf").display().to_string();
        for (key, value) in [
            ("conf", conf),
            ("host", self.address.to_string()),
            ("share", share.into()),
            ("password", PASSWORD.into()),
        ] {
            asked[key] = value.into();
        }
        bindings(&asked)
    }
}

/// What `allinfo` says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Info {
    pub(crate) attributes: u32,
    /// To the second.
    pub(crate) created: String,
    /// Sizes by name; the unnamed one is there, too.
    pub(crate) streams: BTreeMap<String, u64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw);
        let signal = |signal| group.map(|group| kill_process_group(group, signal));
        signal(Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) && matches!(self.daemon.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        // Children that have not heard of it, and whoever did not end in time.
        signal(Signal::KILL);
        let _ = self.daemon.wait();
    }
}

/// Runs a program with this on standard input; it has to succeed.
#[track_caller]
fn input(command: &mut Command, text: &str) -> Vec<u8> {
    use std::io::Write;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C.UTF-8");
    let mut child = command.spawn().unwrap();
    // Who ends without reading it is judged by its exit code.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// An answer of Samba's Python bindings.
#[track_caller]
pub(crate) fn bindings(asked: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samba/judge.py");
    // Debian's own, which has Debian's modules.
    let answer = input(Command::new("/usr/bin/python3").arg(script), &asked.to_string());
    serde_json::from_slice(&answer).unwrap()
}

/// A descriptor in SDDL: equal texts are equal descriptors, however their parts are laid out.
#[track_caller]
pub(crate) fn to_sddl(descriptor: &[u8]) -> String {
    sddl::to_sddl(&SecurityDescriptor::parse(descriptor).unwrap())
}
