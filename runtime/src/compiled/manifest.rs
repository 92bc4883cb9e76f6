//! The part of a file that says what is where, as JSON.

use std::collections::BTreeMap;

use octrt_ops::{DType, Dim, Shape, TensorType};
use serde::{Deserialize, Serialize};

use crate::data_type::DataType;
use crate::ports::PortInfo;
use crate::records::Choice;

/// Everything but the data.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest {
    /// The version of octrt, for people.
    pub(super) octrt: String,
    /// [`crate::fingerprint()`].
    pub(super) compiler: String,
    pub(super) target: String,
    pub(super) precision: String,
    pub(super) about: About,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// What inputs hold that decide shapes, in the order of the inputs.
    pub(super) values: Vec<Value>,
    /// The graph after all passes.
    pub(super) graph: String,
    /// Its constants that are not in the text.
    pub(super) blobs: Vec<Blob>,
    /// What records have decided for convolutions of the graph.
    pub(super) decisions: Vec<Decided>,
    /// Packed weights, in the order in which the compiler wants them.
    pub(super) weights: Vec<Weight>,
    /// Length of the data.
    pub(super) data_bytes: u64,
    /// XXH3 of each chunk of the data.
    pub(super) chunks: Vec<u64>,
}

/// Who has written a file: what every manifest has, whatever else stands in it.
#[derive(Debug, Deserialize)]
pub(super) struct Origin {
    pub(super) octrt: String,
    pub(super) compiler: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct About {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) opset: Option<i64>,
    pub(super) producer: String,
    pub(super) warnings: Vec<String>,
}

/// An input or output.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) dims: Vec<usize>,
}

/// The elements of an input in its element type, little-endian, row-major.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Value {
    pub(super) input: String,
    pub(super) bytes: Vec<u8>,
}

/// A convolution, and how it is carried out.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Decided {
    pub(super) problem: String,
    #[serde(flatten)]
    pub(super) choice: Choice,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Blob {
    pub(super) dtype: String,
    pub(super) dims: Vec<usize>,
    /// Where it begins in the data; none for one that is there in packed form only.
    pub(super) at: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Weight {
    pub(super) packing: String,
    pub(super) dtype: String,
    pub(super) dims: Vec<usize>,
    /// Where the packed weight lies in the data.
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl From<crate::about::About> for About {
    fn from(a: crate::about::About) -> Self {
        let crate::about::About { metadata, opset, producer, warnings } = a;
        About { metadata, opset, producer, warnings }
    }
}

impl From<About> for crate::about::About {
    fn from(a: About) -> Self {
        let About { metadata, opset, producer, warnings } = a;
        crate::about::About { metadata, opset, producer, warnings }
    }
}

impl Port {
    /// None where a dimension is open.
    pub(super) fn new(info: &PortInfo) -> Option<Port> {
        let fixed = |d: &Dim| match d {
            Dim::Fixed(d) => Some(*d),
            Dim::Dynamic(_) => None,
        };
        let dims = info.dims.as_ref()?.iter().map(fixed).collect::<Option<Vec<_>>>()?;
        Some(Port { name: info.name.clone(), dtype: info.dtype.name().to_string(), dims })
    }

    pub(super) fn info(self) -> Result<PortInfo, String> {
        let known = DataType::ALL.into_iter().find(|d| d.name() == self.dtype);
        let dtype = known.ok_or_else(|| format!("'{}' has elements of '{}'", self.name, self.dtype))?;
        let dims = Some(self.dims.into_iter().map(Dim::Fixed).collect());
        Ok(PortInfo { name: self.name, dtype, dims })
    }
}

/// A type, which can be addressed.
pub(super) fn tensor_type(dtype: &str, dims: &[usize]) -> Result<TensorType, String> {
    let dtype: DType = dtype.parse().map_err(|e: octrt_ops::OpError| e.to_string())?;
    let shape = Shape::new(dims);
    shape.checked_bytes(dtype).map_err(|e| e.to_string())?;
    Ok(TensorType { dtype, shape })
}
