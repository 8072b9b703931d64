//! What Python alone knows of a fragment: its identifier, unsealed, and what the policy says of it.

use crate::input::Input;
use crate::refusal::Read;

const HIDDEN: usize = 1;
const IDENTIFYING: usize = 2;
const MEDIUM: usize = 4;
const NOBODYS: usize = 8;
/// The word for any kind where nobody is to know that there is one of it.
pub const OTHER_KIND: &str = "other";
const DEFAULT_NAMESPACE: &str = "default";

pub struct Identity<'a> {
    pub kind: &'a str,
    pub value: &'a str,
    pub namespace: &'a str,
    pub realm: &'a str,
    /// The place of its kind in the policy, 0 the strongest.
    pub position: usize,
    /// Whether nobody is to know that there is one of its kind.
    pub is_hidden: bool,
    /// Whether its kind identifies, and whether it says at least something about who somebody is.
    pub is_identifying: bool,
    pub is_medium: bool,
    /// Whether the policy says that it links nobody.
    pub is_nobodys: bool,
}

impl<'a> Identity<'a> {
    /// Reads what `state.context.compiled` packs.
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut input = Input::new(bytes);
        let (flags, position) = (input.size()?, input.size()?);
        Ok(Identity {
            kind: input.text()?,
            value: input.text()?,
            namespace: input.text()?,
            realm: input.text()?,
            position,
            is_hidden: flags & HIDDEN != 0,
            is_identifying: flags & IDENTIFYING != 0,
            is_medium: flags & MEDIUM != 0,
            is_nobodys: flags & NOBODYS != 0,
        })
    }

    /// The order of identifiers.
    pub fn order(&self) -> (&'a str, &'a str, &'a str, &'a str) {
        (self.kind, self.value, self.namespace, self.realm)
    }

    /// The namespace, where it has to be named.
    pub fn named_namespace(&self) -> Option<&'a str> {
        (self.namespace != DEFAULT_NAMESPACE).then_some(self.namespace)
    }

    pub fn shown_kind(&self) -> &'a str {
        if self.is_hidden { OTHER_KIND } else { self.kind }
    }
}
