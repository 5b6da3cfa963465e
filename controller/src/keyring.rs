//! The keys that desired states are signed with.
//!
//! They live in one Secret of the controller's own namespace, so that every replica, and every
//! start after this one, signs with the same. A sidecar accepts one key, the one that its pod was
//! born with, so a key is never taken out while a pod names it. (Keys are not rotated automatically
//! yet: a second key that is put into the Secret and named by `current` is given to new pods, and
//! the old one still signs for the old pods.)

use crate::hexadecimal::hexadecimal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// The name of the Secret.
pub const KEYRING_SECRET: &str = "ebb-keyring";

/// The entry of the Secret that names the key to sign new pods' states with.
const CURRENT: &str = "current";

/// How often the Secret is read again. Changes are rare and not urgent: a key must be known to all
/// replicas before `current` names it. One that was deleted is made again from what is known.
const REREAD_EVERY: Duration = Duration::from_secs(30);

/// The keys, and which of them new pods are born with.
pub struct Keyring {
    current: PublicKey,
    keys: BTreeMap<String, Ed25519KeyPair>,
    /// The same as the Secret holds it.
    stored: BTreeMap<String, ByteString>,
}

/// The public half of a key of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub id: String,
    /// Ed25519, 32 bytes, in standard base64.
    pub base64: String,
}

/// Why the keyring cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The API server did not answer, or not as hoped.
    #[error("cannot read or create the Secret {namespace}/{KEYRING_SECRET}")]
    Api {
        /// The controller's namespace.
        namespace: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Secret is not one of ours, or was damaged.
    #[error(
        "the Secret {namespace}/{KEYRING_SECRET} is no keyring: {why}; restore it, or delete it and \
         restart the controller to have a new one made (pods made before then drain by what they \
         were born with)"
    )]
    Damaged {
        /// The controller's namespace.
        namespace: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system gives no random numbers.
    #[error("cannot make a key: the system's random number generator failed")]
    Random,
}

/// Reads the keyring, and makes it first where there is none.
///
/// # Errors
///
/// Fails if the API server can't be asked, or if the Secret holds something else. It is never
/// overwritten.
pub async fn load(client: &Client, namespace: &str) -> Result<Keyring, KeyringError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| api_error(namespace, source);
    let stored = match secrets.get_opt(KEYRING_SECRET).await.map_err(failed)? {
        Some(secret) => secret,
        None => create(&secrets, &fresh()?).await.map_err(failed)?,
    };
    Keyring::of(&stored, namespace)
}

/// Creates the Secret, or reads that of another replica which was faster: its keys are ours.
async fn create(secrets: &Api<Secret>, secret: &Secret) -> Result<Secret, kube::Error> {
    match secrets.create(&PostParams::default(), secret).await {
        Err(kube::Error::Api(status)) if status.code == 409 => secrets.get(KEYRING_SECRET).await,
        created => {
            let created = created?;
            info!(secret = KEYRING_SECRET, "made a keyring");
            Ok(created)
        }
    }
}

/// Reads the keyring periodically, and publishes changes. Never returns. A failure is logged and
/// leaves the keys as they are: running pods accept no others. For the same reason a Secret that is
/// gone is made again with the same keys, and one that another controller has made meanwhile, which
/// knew none of them, gets them back.
pub async fn follow(client: Client, namespace: String, keyring: watch::Sender<Arc<Keyring>>) {
    loop {
        tokio::time::sleep(REREAD_EVERY).await;
        let present = Arc::clone(&keyring.borrow());
        match read_again(&client, &namespace, &present).await {
            Ok(read) => {
                keyring.send_if_modified(|present| {
                    let changed = present.stored != read.stored;
                    if changed {
                        info!(current = read.current.id, "the keyring has changed");
                        *present = Arc::new(read);
                    }
                    changed
                });
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "cannot read the keyring again; going on with the keys at hand"
            ),
        }
    }
}

async fn read_again(
    client: &Client,
    namespace: &str,
    present: &Keyring,
) -> Result<Keyring, KeyringError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| api_error(namespace, source);
    let stored = match secrets.get_opt(KEYRING_SECRET).await.map_err(failed)? {
        Some(stored) => stored,
        None => {
            warn!(
                secret = KEYRING_SECRET,
                "deleted; making it again as it was"
            );
            let again = secret(present.stored.clone());
            create(&secrets, &again).await.map_err(failed)?
        }
    };
    let read = Keyring::of(&stored, namespace)?;
    if !read.is_foreign_to(present) {
        return Ok(read);
    }
    let joined = Secret {
        data: Some(read.joined(present)),
        ..stored
    };
    let how = PostParams::default();
    let joined = secrets.replace(KEYRING_SECRET, &how, &joined).await;
    let joined = joined.map_err(failed)?;
    warn!(
        secret = KEYRING_SECRET,
        "made anew without the keys of running pods; put them back"
    );
    Keyring::of(&joined, namespace)
}

fn api_error(namespace: &str, source: kube::Error) -> KeyringError {
    KeyringError::Api {
        namespace: namespace.to_owned(),
        source: Box::new(source),
    }
}

// === impl Keyring ===

impl Keyring {
    /// The key that new pods are born with.
    pub fn current(&self) -> &PublicKey {
        &self.current
    }

    /// The signature of a body by the key of that id, in standard base64; `None` if there is no
    /// such key.
    pub fn sign(&self, key: &str, body: &[u8]) -> Option<String> {
        let key = self.keys.get(key)?;
        Some(BASE64.encode(key.sign(body)))
    }

    /// Whether that is the signature of the body by the key of that id, in standard base64.
    pub fn has_signed(&self, key: &str, body: &[u8], signature: &str) -> bool {
        let (Some(key), Ok(signature)) = (self.keys.get(key), BASE64.decode(signature)) else {
            return false;
        };
        let public = UnparsedPublicKey::new(&ED25519, key.public_key());
        public.verify(body, &signature).is_ok()
    }

    /// Whether it has none of the keys that are known: nobody rotates keys like that.
    fn is_foreign_to(&self, known: &Keyring) -> bool {
        known.keys.keys().all(|id| !self.keys.contains_key(id))
    }

    /// What a Secret holds that has the keys of both; new pods get the key that this one names.
    fn joined(&self, known: &Keyring) -> BTreeMap<String, ByteString> {
        let mut data = known.stored.clone();
        data.extend(self.stored.clone());
        data
    }

    fn of(secret: &Secret, namespace: &str) -> Result<Keyring, KeyringError> {
        Keyring::read(secret).map_err(|why| KeyringError::Damaged {
            namespace: namespace.to_owned(),
            why,
        })
    }

    fn read(secret: &Secret) -> Result<Keyring, String> {
        let data = secret.data.as_ref().ok_or("it is empty")?;
        let current = data
            .get(CURRENT)
            .ok_or_else(|| format!("it has no entry {CURRENT:?}"))?;
        let current = String::from_utf8_lossy(&current.0).into_owned();
        let keys = data
            .iter()
            .filter(|(id, _)| *id != CURRENT)
            .map(|(id, key)| {
                let key = Ed25519KeyPair::from_pkcs8(&key.0)
                    .map_err(|error| format!("its entry {id:?} is no Ed25519 key ({error})"))?;
                Ok((id.clone(), key))
            })
            .collect::<Result<BTreeMap<_, _>, String>>()?;
        let key = keys
            .get(&current)
            .ok_or_else(|| format!("it has no key {current:?}, which is to be the current one"))?;
        Ok(Keyring {
            current: PublicKey {
                base64: BASE64.encode(key.public_key()),
                id: current,
            },
            keys,
            stored: data.clone(),
        })
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Ids only: no key ever gets into a log.
        formatter
            .debug_struct("Keyring")
            .field("current", &self.current.id)
            .field("keys", &self.keys.keys())
            .finish()
    }
}

/// A Secret with one new key.
fn fresh() -> Result<Secret, KeyringError> {
    let pkcs8 =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyringError::Random)?;
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| KeyringError::Random)?;
    let id = id(key.public_key().as_ref());
    Ok(secret(BTreeMap::from([
        (CURRENT.to_owned(), ByteString(id.clone().into_bytes())),
        (id, ByteString(pkcs8.as_ref().to_vec())),
    ])))
}

fn secret(data: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(KEYRING_SECRET.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    }
}

/// A key's id: the first eight bytes of the hash of its public half, so that it can't be given to
/// another key by mistake.
fn id(public: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, public);
    hexadecimal(&hash.as_ref()[..8])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A keyring with one new key.
    pub(crate) fn keyring() -> Keyring {
        Keyring::read(&fresh().unwrap()).unwrap()
    }

    /// What is made can be read, and what it signs can be checked with the half that pods get.
    #[test]
    fn a_signature_fits_the_public_key_that_pods_are_born_with() {
        let keyring = keyring();
        let signature = keyring.sign(&keyring.current().id, b"body").unwrap();
        let public = BASE64.decode(&keyring.current().base64).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public);
        let signature = BASE64.decode(signature).unwrap();
        public.verify(b"body", &signature).unwrap();
        assert!(public.verify(b"other body", &signature).is_err());
    }

    /// What a controller has signed is told from what somebody claims that it has.
    #[test]
    fn a_signature_of_ours_is_known_again() {
        let (keyring, other) = (keyring(), keyring());
        let key = keyring.current().id.clone();
        let signature = keyring.sign(&key, b"body").unwrap();
        assert!(keyring.has_signed(&key, b"body", &signature));
        assert!(!keyring.has_signed(&key, b"other body", &signature));
        assert!(!keyring.has_signed(&key, b"body", "no base64"));
        assert!(!keyring.has_signed("unknown", b"body", &signature));
        let forged = other.sign(&other.current().id, b"body").unwrap();
        assert!(!keyring.has_signed(&key, b"body", &forged));
    }

    /// A pod's key is used as long as it is there, whichever is current.
    #[test]
    fn an_old_key_still_signs() {
        let (old, mut new) = (fresh().unwrap(), fresh().unwrap());
        let old_id = Keyring::read(&old).unwrap().current().id.clone();
        let key = old.data.unwrap()[&old_id].clone();
        new.data.as_mut().unwrap().insert(old_id.clone(), key);
        let keyring = Keyring::read(&new).unwrap();
        assert_ne!(keyring.current().id, old_id);
        assert!(keyring.sign(&old_id, b"body").is_some());
        assert!(keyring.sign("unknown", b"body").is_none());
    }

    /// What a running controller knows is enough to make a Secret again that was deleted.
    #[test]
    fn a_deleted_secret_can_be_made_again() {
        let lost = fresh().unwrap();
        let keyring = Keyring::read(&lost).unwrap();
        assert_eq!(secret(keyring.stored), lost);
    }

    /// A keyring that was made while the Secret was gone gets the keys of running pods back; one
    /// from which a key was taken out does not.
    #[test]
    fn keys_of_running_pods_come_back() {
        let (known, made_anew) = (keyring(), keyring());
        assert!(made_anew.is_foreign_to(&known));
        let joined = Keyring::read(&secret(made_anew.joined(&known))).unwrap();
        assert_eq!(joined.current(), made_anew.current());
        assert!(joined.sign(&known.current().id, b"body").is_some());
        assert!(!joined.is_foreign_to(&known));
        assert!(!known.is_foreign_to(&joined));
    }

    /// A damaged Secret is an error that says what is wrong, never a panic and never a new key.
    #[test]
    fn a_damaged_secret_is_named() {
        let why = |change: fn(&mut BTreeMap<String, ByteString>)| {
            let mut secret = fresh().unwrap();
            change(secret.data.as_mut().unwrap());
            Keyring::read(&secret).unwrap_err()
        };
        assert!(why(BTreeMap::clear).contains("no entry \"current\""));
        let unknown = |data: &mut BTreeMap<String, ByteString>| {
            data.insert(CURRENT.to_owned(), ByteString(b"k9".to_vec()));
        };
        assert!(why(unknown).contains("no key \"k9\""));
        let garbage = |data: &mut BTreeMap<String, ByteString>| {
            data.insert("k2".to_owned(), ByteString(b"garbage".to_vec()));
        };
        assert!(why(garbage).contains("\"k2\" is no Ed25519 key"));
    }

    /// No key gets into a log.
    #[test]
    fn debug_shows_ids_only() {
        let secret = fresh().unwrap();
        let keyring = Keyring::read(&secret).unwrap();
        let id = keyring.current().id.clone();
        let expected = format!("Keyring {{ current: {id:?}, keys: [{id:?}] }}");
        assert_eq!(format!("{keyring:?}"), expected);
    }
}
