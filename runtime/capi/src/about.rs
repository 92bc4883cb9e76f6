//! What a model says about itself, as texts and lists of C.

use std::ffi::{CString, c_char};
use std::ptr;

use octrt::{Model, PortInfo};
use octrt_ops::Dim;

use crate::error::c_string;
use crate::tensor::data_type_code;

/// A model's own words as C strings.
pub(crate) struct About {
    pub(crate) name: CString,
    pub(crate) producer: CString,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) metadata: Vec<(CString, CString)>,
    pub(crate) warnings: Vec<CString>,
}

/// An input or output of a model, as callers see it.
pub(crate) struct Port {
    pub(crate) name: CString,
    pub(crate) dtype: i32,
    pub(crate) dims: Option<Vec<i64>>,
    /// Owns the texts that `dim_names` points to.
    _names: Vec<Option<CString>>,
    pub(crate) dim_names: Vec<*const c_char>,
}

// SAFETY: the pointers are to texts that the port owns and that never change.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

impl Port {
    fn new(info: &PortInfo) -> Self {
        let dims = info.dims.as_deref();
        let extent = |d: &Dim| match d {
            Dim::Fixed(n) => i64::try_from(*n).unwrap_or(i64::MAX),
            Dim::Dynamic(_) => -1,
        };
        let name = |d: &Dim| match d {
            Dim::Fixed(_) => None,
            Dim::Dynamic(name) => Some(c_string(name)),
        };
        let names: Vec<Option<CString>> = dims.unwrap_or_default().iter().map(name).collect();
        Port {
            name: c_string(&info.name),
            dtype: data_type_code(info.dtype),
            dims: dims.map(|d| d.iter().map(extent).collect()),
            dim_names: names.iter().map(|n| n.as_ref().map_or(ptr::null(), |n| n.as_ptr())).collect(),
            _names: names,
        }
    }
}

impl About {
    pub(crate) fn new(model: &Model) -> Self {
        About {
            name: c_string(model.name()),
            producer: c_string(&model.about().producer),
            inputs: model.inputs().iter().map(Port::new).collect(),
            outputs: model.outputs().iter().map(Port::new).collect(),
            metadata: model.metadata().iter().map(|(k, v)| (c_string(k), c_string(v))).collect(),
            warnings: model.warnings().iter().map(|w| c_string(w)).collect(),
        }
    }

    /// The name of an input.
    pub(crate) fn input_name(&self, input: usize) -> *const c_char {
        self.inputs.get(input).map_or(ptr::null(), |p| p.name.as_ptr())
    }

    /// The name of an output.
    pub(crate) fn output_name(&self, output: usize) -> *const c_char {
        self.outputs.get(output).map_or(ptr::null(), |p| p.name.as_ptr())
    }
}
