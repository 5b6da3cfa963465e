//! Servers that answer one way to those whom they trust, and another way to others.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_netns::command;
use ebb_netns::eventually;

use super::files::{Files, NOBODY};

/// How long an answer may take, on a computer that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What PostgreSQL says while it starts.
const STARTING_UP: &str = "refused with 57P03";

/// A user and a group that every Debian has and that own nothing here: Postfix wants some that are
/// nobody else's.
const MAIL_USER: (&str, u32) = ("uucp", 10);
const MAIL_GROUP: (&str, u32) = ("staff", 50);

/// What is in a pod.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    /// Apache httpd with `Require local`.
    Httpd,
    /// Postfix, which relays for its own networks.
    Postfix,
    /// PostgreSQL with `samehost trust`.
    Postgresql,
}

// === impl Server ===

impl Server {
    pub(super) const ALL: [Self; 3] = [Self::Httpd, Self::Postfix, Self::Postgresql];

    pub(super) fn port(self) -> u16 {
        match self {
            Self::Httpd => 8080,
            Self::Postfix => 2525,
            Self::Postgresql => 5432,
        }
    }

    /// The server, with files of its own called `name`.
    pub(super) fn command(self, files: &Files, name: &str) -> Result<Command> {
        match self {
            Self::Httpd => self.httpd(files, name),
            Self::Postfix => self.postfix(files, name),
            Self::Postgresql => self.postgresql(files, name),
        }
    }

    /// What it answers, in its own words.
    pub(super) fn ask(self, address: SocketAddr) -> Result<String> {
        let connect = || -> Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        match self {
            Self::Httpd => ask_httpd(connect()?),
            Self::Postfix => ask_postfix(&connect()?),
            // It listens before it is ready.
            Self::Postgresql => eventually("PostgreSQL to be ready", PATIENCE, || {
                let answer = ask_postgresql(connect()?)?;
                Ok(Some(answer).filter(|answer| answer != STARTING_UP))
            }),
        }
    }

    fn httpd(self, files: &Files, name: &str) -> Result<Command> {
        let folder = files.folder(name, 0)?;
        let modules = files.program("usr/lib/apache2/modules");
        let (here, modules) = (folder.display(), modules.display());
        let port = self.port();
        let configuration = format!(
            "ServerRoot {here}
ServerName app
PidFile httpd.pid
DefaultRuntimeDir {here}
ErrorLog /dev/stderr
User nobody
Group nogroup
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_host_module {modules}/mod_authz_host.so
Listen 0.0.0.0:{port}
<Location \"/\">
    Require local
</Location>
"
        );
        let file = write(&folder, "httpd.conf", &configuration)?;
        let mut command = files.command("usr/sbin/apache2");
        command.args(["-DFOREGROUND", "-f", &file]);
        Ok(command)
    }

    fn postfix(self, files: &Files, name: &str) -> Result<Command> {
        let ((user, uid), (group, gid)) = (MAIL_USER, MAIL_GROUP);
        let folder = files.folder(name, 0)?;
        // Its daemons are that user, who has to get to what is below.
        open_to_all(&folder)?;
        let queue = folder.join("queue");
        for part in [
            "pid", "private", "public", "maildrop", "incoming", "active", "defer",
        ] {
            fs::create_dir_all(queue.join(part))?;
        }
        for part in [
            "private", "public", "maildrop", "incoming", "active", "defer",
        ] {
            let of = if part == "public" || part == "maildrop" {
                gid
            } else {
                uid
            };
            std::os::unix::fs::chown(queue.join(part), Some(uid), Some(of))?;
        }
        let data = files.folder(&format!("{name}/data"), uid)?;
        let programs = files.program("usr");
        let (here, programs) = (folder.display(), programs.display());
        let (queue, data) = (queue.display(), data.display());
        let main = format!(
            "compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
daemon_directory = {programs}/lib/postfix/sbin
command_directory = {programs}/sbin
shlib_directory = {programs}/lib/postfix
meta_directory = {here}
mail_owner = {user}
setgid_group = {group}
default_privs = nobody
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
export_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
maillog_file = {here}/log
maillog_file_prefixes = /mnt
inet_protocols = ipv4
smtputf8_enable = no
myhostname = app.test
mydestination = app.test
local_recipient_maps =
local_transport = error:none
alias_maps =
alias_database =
mynetworks_style = host
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
"
        );
        write(&folder, "main.cf", &main)?;
        let port = self.port();
        let services = format!(
            "{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
"
        );
        write(&folder, "master.cf", &services)?;
        write(&folder, "dynamicmaps.cf", "")?;
        let mut command = files.command("usr/lib/postfix/sbin/master");
        command.args(["-d", "-c"]).arg(&folder);
        Ok(command)
    }

    fn postgresql(self, files: &Files, name: &str) -> Result<Command> {
        const PROGRAMS: &str = "usr/lib/postgresql/15/bin";
        let folder = files.folder(name, NOBODY)?;
        let data = folder.join("data");
        let mut initdb = files.command_as_nobody(&format!("{PROGRAMS}/initdb"));
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--no-locale",
        ]);
        command::run(initdb.arg("-D").arg(&data).current_dir(&folder))?;
        write(&data, "pg_hba.conf", "host all all samehost trust\n")?;
        let mut command = files.command_as_nobody(&format!("{PROGRAMS}/postgres"));
        command.arg("-D").arg(&data).current_dir(&folder);
        command.args([
            "-c",
            "listen_addresses=0.0.0.0",
            "-c",
            "unix_socket_directories=",
        ]);
        command.args(["-c", &format!("port={}", self.port()), "-c", "fsync=off"]);
        Ok(command)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Httpd => "httpd",
            Self::Postfix => "Postfix",
            Self::Postgresql => "PostgreSQL",
        })
    }
}

fn write(folder: &Path, name: &str, content: &str) -> Result<String> {
    let file = folder.join(name);
    fs::write(&file, content).with_context(|| format!("can't write {}", file.display()))?;
    Ok(file.display().to_string())
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("can't open {}", folder.display()))
}

/// The status line of a request for a page that is not there.
fn ask_httpd(mut stream: TcpStream) -> Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// The answer to a recipient of somebody else's (RFC 5321, section 3.6.2): the code, and the one of
/// RFC 3463.
fn ask_postfix(mut stream: &TcpStream) -> Result<String> {
    let mut lines = BufReader::new(stream);
    let mut reply = || -> Result<String> {
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            // A hyphen says that more lines follow.
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    };
    let mut last = reply()?;
    for said in ["EHLO client", "MAIL FROM:<a@a.test>", "RCPT TO:<b@b.test>"] {
        stream.write_all(format!("{said}\r\n").as_bytes())?;
        last = reply()?;
    }
    Ok(last.chars().take("554 5.7.1".len()).collect())
}

/// The first answer to a client that says who it is: its kind, and the code of an error.
fn ask_postgresql(mut stream: TcpStream) -> Result<String> {
    // StartupMessage: length, version 3.0, and pairs of names and values.
    const PARAMETERS: &[u8] = b"user\0postgres\0database\0postgres\0\0";
    let mut message = Vec::new();
    message.extend_from_slice(&u32::try_from(8 + PARAMETERS.len())?.to_be_bytes());
    message.extend_from_slice(&0x0003_0000_u32.to_be_bytes());
    message.extend_from_slice(PARAMETERS);
    stream.write_all(&message)?;
    let mut answer = [0; 512];
    let read = stream.read(&mut answer)?;
    let fields = answer[..read].split(|byte| *byte == 0);
    // A field of an error begins with its kind; C is the SQLSTATE.
    let code = fields.filter_map(|field| field.strip_prefix(b"C")).next();
    let code = code.map(|code| String::from_utf8_lossy(code).into_owned());
    match (answer[0], code) {
        (b'R', _) => Ok("authenticated".to_owned()),
        (_, Some(code)) => Ok(format!("refused with {code}")),
        (kind, None) => anyhow::bail!("a message of kind {kind}"),
    }
}
