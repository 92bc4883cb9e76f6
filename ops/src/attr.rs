//! Attributes of operators: how their fields are written in and read from the text form.

use std::collections::BTreeMap;
use std::fmt;

use crate::dtype::DType;
use crate::error::OpError;
use crate::quoted::Quoted;

/// The value of an attribute in the text form.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// `3`
    Int(i64),
    /// `0.5f`: the shortest text that reads back as the same f32.
    Float(f32),
    /// `same_upper`
    Name(String),
    /// `"ij,jk->ik"`
    Text(String),
    /// `[1, 1]`
    Ints(Vec<i64>),
    /// `[0.5f, 1.0f]`
    Floats(Vec<f32>),
    /// `[tanh, relu]`
    Names(Vec<String>),
    /// `none`
    None,
}

impl fmt::Display for Attr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attr::Int(v) => write!(f, "{v}"),
            Attr::Float(v) => write!(f, "{v:?}f"),
            Attr::Name(v) => f.write_str(v),
            Attr::Text(v) => Quoted(v).fmt(f),
            Attr::Ints(v) => write!(f, "{v:?}"),
            Attr::Floats(v) => {
                let items: Vec<String> = v.iter().map(|x| format!("{x:?}f")).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Attr::Names(v) => write!(f, "[{}]", v.join(", ")),
            Attr::None => f.write_str("none"),
        }
    }
}

/// Named attributes, as read from the text form.
pub type AttrMap = BTreeMap<String, Attr>;

/// A Rust type that can be the field of an operator.
pub trait AttrValue: Sized {
    /// The value in the text form.
    fn to_attr(&self) -> Attr;
    /// Reads it back; `None` when the attribute has another type.
    fn from_attr(attr: &Attr) -> Option<Self>;
}

macro_rules! attr_value {
    ($t:ty, $to:expr, $pattern:pat => $from:expr) => {
        impl AttrValue for $t {
            fn to_attr(&self) -> Attr {
                #[allow(clippy::redundant_closure_call)]
                ($to)(self)
            }
            fn from_attr(attr: &Attr) -> Option<Self> {
                match attr {
                    $pattern => $from,
                    _ => None,
                }
            }
        }
    };
}
attr_value!(i64, |v: &i64| Attr::Int(*v), Attr::Int(v) => Some(*v));
attr_value!(usize, |v: &usize| Attr::Int(*v as i64), Attr::Int(v) => usize::try_from(*v).ok());
attr_value!(f32, |v: &f32| Attr::Float(*v), Attr::Float(v) => Some(*v));
attr_value!(bool, |v: &bool| Attr::Int((*v).into()), Attr::Int(v) => Some(*v != 0));
attr_value!(String, |v: &String| Attr::Text(v.clone()), Attr::Text(v) => Some(v.clone()));
attr_value!(Vec<i64>, |v: &Vec<i64>| Attr::Ints(v.clone()), Attr::Ints(v) => Some(v.clone()));
attr_value!(Vec<usize>, |v: &Vec<usize>| Attr::Ints(v.iter().map(|x| *x as i64).collect()),
    Attr::Ints(v) => v.iter().map(|x| usize::try_from(*x).ok()).collect());
attr_value!(DType, |v: &DType| Attr::Name(v.name().into()), Attr::Name(v) => v.parse().ok());

impl AttrValue for Vec<f32> {
    fn to_attr(&self) -> Attr {
        Attr::Floats(self.clone())
    }
    fn from_attr(attr: &Attr) -> Option<Self> {
        match attr {
            Attr::Floats(v) => Some(v.clone()),
            // The empty list has no element that would tell its type.
            Attr::Ints(v) if v.is_empty() => Some(Vec::new()),
            _ => None,
        }
    }
}

impl<T: AttrValue> AttrValue for Option<T> {
    fn to_attr(&self) -> Attr {
        self.as_ref().map_or(Attr::None, AttrValue::to_attr)
    }
    fn from_attr(attr: &Attr) -> Option<Self> {
        match attr {
            Attr::None => Some(None),
            other => T::from_attr(other).map(Some),
        }
    }
}

/// Fields of an operator as named attributes.
pub trait Attributes: Sized {
    /// The fields in declaration order.
    fn to_attrs(&self) -> Vec<(&'static str, Attr)>;
    /// Builds the operator; takes its attributes out of `attrs`.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when one is missing or of another type.
    fn from_attrs(attrs: &mut AttrMap) -> Result<Self, OpError>;
}

/// Takes attribute `name` out of `attrs`.
///
/// # Errors
/// [`OpError::Invalid`] when it is missing or of another type.
pub fn take<T: AttrValue>(attrs: &mut AttrMap, name: &str) -> Result<T, OpError> {
    let attr =
        attrs.remove(name).ok_or_else(|| OpError::Invalid(format!("attribute '{name}' is missing")))?;
    T::from_attr(&attr).ok_or_else(|| OpError::Invalid(format!("attribute '{name}' cannot be {attr}")))
}

/// Implements [`Attributes`] for a struct from the list of its fields. Attributes of the field `group` in `..group`, which
/// has [`Attributes`] itself, stand before the others, as if they were fields of the struct.
#[macro_export]
macro_rules! attributes {
    ($t:ident { $(..$group:ident,)? $($field:ident),* $(,)? }) => {
        impl $crate::attr::Attributes for $t {
            fn to_attrs(&self) -> Vec<(&'static str, $crate::attr::Attr)> {
                let fields = vec![$((stringify!($field), $crate::attr::AttrValue::to_attr(&self.$field))),*];
                $(let fields = [$crate::attr::Attributes::to_attrs(&self.$group), fields].concat();)?
                fields
            }
            #[allow(unused_variables)]
            fn from_attrs(attrs: &mut $crate::attr::AttrMap) -> Result<Self, $crate::OpError> {
                Ok($t {
                    $($group: $crate::attr::Attributes::from_attrs(attrs)?,)?
                    $($field: $crate::attr::take(attrs, stringify!($field))?),*
                })
            }
        }
    };
}

/// Gives a fieldless enum its names: `Display`, `FromStr`, `ALL` and [`AttrValue`].
#[macro_export]
macro_rules! attr_enum {
    ($t:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $t {
            /// Every variant.
            pub const ALL: &'static [$t] = &[$($t::$variant),*];
            /// The name in text forms.
            pub fn name(self) -> &'static str {
                match self { $($t::$variant => $name),* }
            }
        }
        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
        impl std::str::FromStr for $t {
            type Err = $crate::OpError;
            fn from_str(s: &str) -> Result<Self, $crate::OpError> {
                $t::ALL.iter().copied().find(|v| v.name() == s).ok_or_else(|| {
                    let names: Vec<&str> = $t::ALL.iter().map(|v| v.name()).collect();
                    $crate::OpError::Invalid(format!("'{s}' is not one of {}", names.join(", ")))
                })
            }
        }
        impl $crate::attr::AttrValue for $t {
            fn to_attr(&self) -> $crate::attr::Attr {
                $crate::attr::Attr::Name(self.name().into())
            }
            fn from_attr(attr: &$crate::attr::Attr) -> Option<Self> {
                match attr {
                    $crate::attr::Attr::Name(n) => n.parse().ok(),
                    _ => None,
                }
            }
        }
    };
}
