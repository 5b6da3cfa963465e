//! Servers that answer one way to those whom they trust, and another way to others.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use ebb_netns::eventually;

use super::files::{PLACE, PROGRAMS};

/// How long an answer may take, on a computer that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What PostgreSQL says while it starts.
const STARTING_UP: &str = "refused with 57P03";

/// A user and a group that every Debian has and that own nothing here: Postfix wants some that are
/// nobody else's.
const MAIL_USER: &str = "uucp";
const MAIL_GROUP: &str = "staff";

/// What is in a pod.
#[derive(Clone, Copy, Debug)]
pub enum Server {
    /// Apache httpd with `Require local`.
    Httpd,
    /// Postfix, which relays for its own networks.
    Postfix,
    /// PostgreSQL with `samehost trust`.
    Postgresql,
}

// === impl Server ===

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Httpd, Self::Postfix, Self::Postgresql];

    /// Where it listens.
    pub fn port(self) -> u16 {
        match self {
            Self::Httpd => 8080,
            Self::Postfix => 2525,
            Self::Postgresql => 5432,
        }
    }

    /// What a shell does to become the server: in an empty folder that everybody may look into, as
    /// root, with the programs at [`PROGRAMS`].
    pub fn script(self) -> String {
        let port = self.port();
        match self {
            Self::Httpd => httpd(port),
            Self::Postfix => postfix(port),
            Self::Postgresql => postgresql(port),
        }
    }

    /// What it answers, in its own words.
    ///
    /// # Errors
    ///
    /// It can't be reached, or answers nothing that is known of it.
    pub fn ask(self, address: SocketAddr) -> Result<String> {
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

fn httpd(port: u16) -> String {
    format!(
        r#"cat > httpd.conf <<END
ServerRoot $PWD
ServerName app
PidFile httpd.pid
DefaultRuntimeDir $PWD
ErrorLog /dev/stderr
User nobody
Group nogroup
LoadModule mpm_event_module {PROGRAMS}/usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module {PROGRAMS}/usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_host_module {PROGRAMS}/usr/lib/apache2/modules/mod_authz_host.so
Listen 0.0.0.0:{port}
<Location "/">
    Require local
</Location>
END
exec {PROGRAMS}/usr/sbin/apache2 -DFOREGROUND -f $PWD/httpd.conf
"#
    )
}

fn postfix(port: u16) -> String {
    format!(
        r#"mkdir -p data queue/pid
cd queue
mkdir private public maildrop incoming active defer
chown {MAIL_USER}:{MAIL_USER} private incoming active defer ../data
chown {MAIL_USER}:{MAIL_GROUP} public maildrop
cd ..
cat > main.cf <<END
compatibility_level = 3.6
queue_directory = $PWD/queue
data_directory = $PWD/data
daemon_directory = {PROGRAMS}/usr/lib/postfix/sbin
command_directory = {PROGRAMS}/usr/sbin
shlib_directory = {PROGRAMS}/usr/lib/postfix
meta_directory = $PWD
mail_owner = {MAIL_USER}
setgid_group = {MAIL_GROUP}
default_privs = nobody
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
export_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
maillog_file = $PWD/log
maillog_file_prefixes = {PLACE}
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
END
cat > master.cf <<END
{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
END
touch dynamicmaps.cf
exec {PROGRAMS}/usr/lib/postfix/sbin/master -d -c $PWD
"#
    )
}

fn postgresql(port: u16) -> String {
    format!(
        r#"mkdir -m 700 data
chown nobody:nogroup data
nobody="setpriv --clear-groups --reuid nobody --regid nogroup {PROGRAMS}/usr/lib/postgresql/15/bin"
$nobody/initdb --auth=trust --username=postgres --no-sync --no-locale -D $PWD/data || exit
echo host all all samehost trust > data/pg_hba.conf
exec $nobody/postgres -D $PWD/data -c listen_addresses=0.0.0.0 -c port={port} \
    -c unix_socket_directories= -c fsync=off
"#
    )
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
