//! What is compared with what, and where on the ring it lies.

use super::Question;
use crate::identity::EntryId;
use crate::vector::Space;

/// The space of a question: questions of another context, or vectors of another embedder, are in another one.
pub(super) fn space_of(question: &Question, embedder: &str) -> Space {
    Space { namespace: question.namespace, context: derive(&question.context, b"embedder", embedder.as_bytes()) }
}

/// A shard of a space is a space of its own to who holds it.
pub(super) fn shard(space: Space, number: u32) -> Space {
    match number {
        0 => space,
        _ => Space { context: derive(&space.context, b"shard", &number.to_le_bytes()), ..space },
    }
}

/// By what the ring places a space.
pub(super) fn place_of(space: &Space) -> EntryId {
    let mut place = space.namespace.scope.to_vec();
    place.extend_from_slice(&space.namespace.name);
    derive(&space.context, b"place", &place).into()
}

fn derive(context: &[u8; 32], purpose: &[u8], what: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_keyed(context).update(purpose).update(&[0]).update(what).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NamespaceId;

    #[test]
    fn whatever_differs_is_another_space_at_another_place() {
        let question = |scope, context| Question {
            namespace: NamespaceId { scope: [scope; 16], name: [1; 16] },
            context: [context; 32],
            text: "the same".into(),
        };
        let space = space_of(&question(1, 1), "static");
        let mut all =
            vec![space, space_of(&question(2, 1), "static"), space_of(&question(1, 2), "static"), shard(space, 1)];
        all.extend([space_of(&question(1, 1), "local"), shard(space, 2)]);
        let places: std::collections::HashSet<_> = all.iter().map(place_of).collect();
        assert_eq!(places.len(), all.len());
        assert_eq!(shard(space, 0), space);
    }
}
