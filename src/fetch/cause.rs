//! Why something failed: the nearest cause of an error that is of one type.

use std::error::Error;
use std::io;

/// Returns the nearest of an error and its causes that is an `E`, also where it is in a box, or an input/output error
/// carries it.
pub fn nearest_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let boxed = || error.downcast_ref::<Box<E>>().map(AsRef::as_ref);
        if let Some(found) = error.downcast_ref().or_else(boxed) {
            return Some(found);
        }
        let carried = error.downcast_ref().and_then(io::Error::get_ref);
        next = match carried {
            // What an input/output error carries is not its `source`, but what that has.
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("sought {0}")]
    struct Sought(u8);

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer<E: Error + 'static>(#[source] E);

    fn number(error: &(dyn Error + 'static)) -> Option<u8> {
        nearest_cause::<Sought>(error).map(|found| found.0)
    }

    #[test]
    fn the_nearest_cause_is_found_wherever_it_is() {
        let carried = || io::Error::other(Sought(1));
        let cases: [(&str, &(dyn Error + 'static)); 7] = [
            ("the error itself", &Sought(1)),
            ("its source", &Outer(Sought(1))),
            ("boxed", &Outer(Box::new(Sought(1)))),
            ("carried", &carried()),
            (
                "behind what is carried",
                &io::Error::other(Outer(Sought(1))),
            ),
            ("carried twice", &io::Error::other(carried())),
            ("carried by a source", &Outer(Outer(carried()))),
        ];
        for (what, error) in cases {
            assert_eq!(number(error), Some(1), "{what}");
        }
    }

    #[test]
    fn where_there_is_no_such_cause_none_is_found() {
        assert_eq!(number(&Outer(io::Error::other("something"))), None);
        assert_eq!(number(&io::Error::from(io::ErrorKind::NotFound)), None);
    }
}
