//! What sessions of the console are sealed with: derived from the keys of signing secrets, which every process of the
//! service has, and following them when they change. Who sees one of them learns nothing of the other.

use std::sync::Arc;

use gateway::SessionKeys;
use ring::hmac;

use crate::secret_box::SecretBox;

const PURPOSE: &[u8] = b"testmo-webhooks console sessions";

/// One key from each of the file's, the one that seals first.
pub(crate) fn session_keys(secrets: Arc<SecretBox>) -> SessionKeys {
    Arc::new(move || secrets.ring().keys().map(|key| derive(&key.bytes)).collect())
}

/// HMAC-SHA256 of the purpose: one block of HKDF's expansion, from a key that is random already.
fn derive(key: &[u8; 32]) -> [u8; 32] {
    let mut derived = [0; 32];
    derived.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), PURPOSE).as_ref());
    derived
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn they_follow_the_keys_of_the_file_and_are_the_same_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let write = |keys: &[u8]| {
            let lines: Vec<String> = keys.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
            std::fs::write(&path, lines.join("\n")).unwrap();
        };
        write(&[1]);
        let secrets = Arc::new(SecretBox::load(&path).unwrap());
        let keys = session_keys(Arc::clone(&secrets));
        let before = keys();
        assert_eq!(before, session_keys(Arc::new(SecretBox::new(&[1; 32])))());
        assert!(before.len() == 1 && before != [[1; 32]]);
        write(&[2, 1]);
        assert!(secrets.reload());
        let after = keys();
        assert!(after.len() == 2 && after[0] != before[0] && after[1] == before[0]);
    }
}
