//! Random sequences of calls, with handles given back in any order and arguments that are wrong more often than right:
//! nothing crashes, no call reports a defect of the library, and what succeeds computes what it should.
#![allow(missing_docs)]

mod support;

use std::ffi::{CStr, c_char};
use std::ptr;

use octrt_capi::*;
use support::{shapes, two_inputs};

/// Number of sequences, and of calls in each.
const SEQUENCES: u64 = 10_000;
const CALLS: usize = 30;
/// Floats in the memory that tensors lie in.
const FLOATS: usize = 256;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next(of.len())]
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.next(n) == 0
    }
}

/// A program: its handles, its memory, its dice.
struct Program<'a> {
    random: Random,
    onnx: &'a [u8],
    models: Vec<*mut octrt_model>,
    sessions: Vec<*mut octrt_session>,
    cancellers: Vec<*mut octrt_canceller>,
    memory: Vec<f32>,
    /// Extents of the tensors; they stay where they are.
    dims: Vec<Vec<i64>>,
    /// Number of calls that succeeded, by kind.
    successes: [usize; 16],
}

/// Takes the error of a call: its code.
fn code(error: *mut octrt_error) -> i32 {
    // SAFETY: the error came from a call and is freed once.
    unsafe {
        let code = octrt_error_code(error);
        let message = CStr::from_ptr(octrt_error_message(error)).to_str().unwrap().to_string();
        octrt_error_free(error);
        assert_eq!(code == OCTRT_OK, message.is_empty(), "{code}: {message}");
        assert!((OCTRT_OK..OCTRT_E_INTERNAL).contains(&code), "{code}: {message}");
        code
    }
}

impl Program<'_> {
    fn model(&mut self) -> *mut octrt_model {
        if self.models.is_empty() || self.random.once_in(20) {
            ptr::null_mut()
        } else {
            self.random.pick(&self.models)
        }
    }

    fn session(&mut self) -> *mut octrt_session {
        if self.sessions.is_empty() || self.random.once_in(20) {
            ptr::null_mut()
        } else {
            self.random.pick(&self.sessions)
        }
    }

    fn name(&mut self) -> *const c_char {
        let names = [c"a", c"b", c"a", c"b", c"sum", c"less", c"", c"\xff"];
        if self.random.once_in(3) { ptr::null() } else { self.random.pick(&names).as_ptr() }
    }

    /// Extents and their number: of [n,3], or anything.
    fn shape(&mut self) -> (*const i64, i32, usize) {
        let n = self.random.pick(&[2, 2, 2, 2, 0, 1, 3]);
        let mut dims = vec![1i64; 64];
        (dims[0], dims[1]) = (n, 3);
        let mut rank = 2;
        if self.random.once_in(6) {
            let odd = [-1, 0, 2, 3, i64::MIN, i64::MAX, 1 << 40, 1 << 62];
            (0..3).for_each(|i| dims[i] = self.random.pick(&odd));
            rank = self.random.pick(&[-3, -1, 0, 1, 2, 3, 64, 65, i32::MAX]);
        }
        self.dims.push(dims);
        let dims = if self.random.once_in(30) { ptr::null() } else { self.dims.last().unwrap().as_ptr() };
        (dims, rank, n as usize * 12)
    }

    /// A tensor in the memory; what it says of its size is true or impossible.
    fn tensor(&mut self) -> octrt_tensor {
        let (dims, rank, mut bytes) = self.shape();
        let offset = self.random.next(FLOATS * 4 - 64);
        let mut data = self.memory.as_mut_ptr().cast::<u8>().wrapping_add(offset);
        if self.random.once_in(20) {
            bytes = self.random.pick(&[0, 1, 3, 35, 40, usize::MAX, isize::MAX as usize + 1]);
        }
        if self.random.once_in(20) {
            data = ptr::null_mut();
        }
        let size = size_of::<octrt_tensor>();
        let odd = [0, 1, 8, size - 8, size - 1, usize::MAX];
        octrt_tensor {
            struct_size: if self.random.once_in(30) { self.random.pick(&odd) } else { size },
            dtype: if self.random.once_in(10) {
                self.random.next(12) as i32 - 1
            } else {
                OCTRT_DTYPE_OF_MODEL
            },
            rank: if self.random.once_in(5) { OCTRT_RANK_OF_MODEL } else { rank },
            dims,
            data: data.cast(),
            bytes,
            name: self.name(),
        }
    }

    /// The tensor of a name, as the model wants it.
    fn good_tensor(&mut self, name: &'static CStr) -> octrt_tensor {
        let mut dims = vec![1i64; 64];
        (dims[0], dims[1]) = (2, 3);
        self.dims.push(dims);
        octrt_tensor {
            struct_size: size_of::<octrt_tensor>(),
            dtype: OCTRT_DTYPE_OF_MODEL,
            rank: 2,
            dims: self.dims.last().unwrap().as_ptr(),
            data: self.memory[self.random.next(FLOATS - 6)..].as_mut_ptr().cast(),
            bytes: 24,
            name: name.as_ptr(),
        }
    }

    fn tensors(&mut self) -> Vec<octrt_tensor> {
        match self.random.next(4) {
            0 => return vec![self.good_tensor(c"b"), self.good_tensor(c"a")],
            1 => return vec![self.good_tensor(c"sum")],
            _ => {}
        }
        let count = self.random.pick(&[0, 1, 2, 2, 2, 2, 3]);
        (0..count).map(|_| self.tensor()).collect()
    }

    fn load(&mut self) -> i32 {
        let mut bytes = self.onnx.to_vec();
        let is_damaged = self.random.once_in(2);
        if is_damaged {
            let at = self.random.next(bytes.len());
            bytes[at] ^= 1 << self.random.next(8);
        }
        let options = octrt_options {
            struct_size: self.random.pick(&[24, 56, 64, 0]),
            threads: self.random.pick(&[1, 1, 1, 2, -1]),
            precision: self.random.pick(&[0, 1, 2]),
            max_memory: self.random.pick(&[0, 0, 10, 1 << 20]),
            cache_dir: ptr::null(),
            log_level: self.random.next(7) as i32,
            copy_file: 0,
            log: None,
            log_data: ptr::null_mut(),
            records: ptr::null(),
        };
        let options = if self.random.once_in(2) { ptr::null() } else { &raw const options };
        let mut model = ptr::null_mut();
        // SAFETY: the bytes are there during the call, which copies them.
        let error = unsafe {
            octrt_model_load_memory(
                bytes.as_ptr().cast(),
                bytes.len(),
                None,
                ptr::null_mut(),
                options,
                &raw mut model,
            )
        };
        if is_damaged {
            self.use_up(model);
        } else {
            self.models.extend((!model.is_null()).then_some(model));
        }
        code(error)
    }

    /// Runs a model of which nothing is known, and frees it.
    fn use_up(&mut self, model: *mut octrt_model) {
        let mut session = ptr::null_mut();
        // SAFETY: handles are NULL or alive, tensors lie in the memory.
        unsafe {
            code(octrt_session_new(model, &raw mut session));
            octrt_model_release(model);
            for _ in 0..3 {
                let inputs = self.tensors();
                code(octrt_session_run(session, inputs.as_ptr(), inputs.len(), ptr::null(), 0));
            }
            octrt_session_free(session);
        }
    }

    /// Gives a handle back.
    fn free(&mut self) {
        // SAFETY: each handle is removed from the list that it is in.
        unsafe {
            match self.random.next(4) {
                0 if self.models.len() > 1 => {
                    octrt_model_release(self.models.swap_remove(self.random.next(self.models.len())));
                }
                1 if !self.sessions.is_empty() => {
                    octrt_session_free(self.sessions.swap_remove(self.random.next(self.sessions.len())));
                }
                2 if !self.cancellers.is_empty() => {
                    octrt_canceller_release(
                        self.cancellers.swap_remove(self.random.next(self.cancellers.len())),
                    );
                }
                _ => octrt_session_free(ptr::null_mut()),
            }
        }
    }

    /// A run on tensors; a success leaves the sum of its inputs.
    fn run(&mut self) -> i32 {
        let (session, inputs) = (self.session(), self.tensors());
        let outputs = if self.random.once_in(2) { Vec::new() } else { self.tensors() };
        // SAFETY: tensors lie in the memory; names and extents are valid or NULL.
        unsafe {
            code(octrt_session_run(session, inputs.as_ptr(), inputs.len(), outputs.as_ptr(), outputs.len()))
        }
    }

    /// A run on fresh buffers, which succeeds on any session.
    fn good_run(&mut self) -> i32 {
        let session = self.session();
        if session.is_null() {
            return OCTRT_E_INVALID_ARGUMENT;
        }
        let dims = [2i64, 3];
        let (mut a, mut b, mut sum) = ([0.5f32; 6], [0.25f32; 6], [0.0f32; 6]);
        let tensor = |data: &mut [f32; 6], name: &'static CStr| octrt_tensor {
            struct_size: size_of::<octrt_tensor>(),
            dtype: OCTRT_F32,
            rank: 2,
            dims: dims.as_ptr(),
            data: data.as_mut_ptr().cast(),
            bytes: 24,
            name: name.as_ptr(),
        };
        let inputs = [tensor(&mut b, c"b"), tensor(&mut a, c"a")];
        let output = tensor(&mut sum, c"sum");
        // SAFETY: the tensors are good ones.
        let code = unsafe { code(octrt_session_run(session, inputs.as_ptr(), 2, &raw const output, 1)) };
        assert_eq!((code, sum), (OCTRT_OK, [0.75; 6]));
        code
    }

    /// One call.
    fn call(&mut self) {
        let kind = self.random.next(15);
        let index = self.random.pick(&[0, 0, 1, 2, usize::MAX]);
        let (session, mut tensor) = (self.session(), self.tensor());
        if self.random.once_in(2) {
            let name = self.random.pick(&[c"a", c"b", c"sum"]);
            tensor = self.good_tensor(name);
        }
        let mut out = (0u64, ptr::null_mut::<c_char>());
        // SAFETY: handles are NULL or alive, tensors lie in the memory, other pointers are valid or NULL.
        let code = unsafe {
            match kind {
                0 => self.load(),
                1 => {
                    let (model, mut session) = (self.model(), ptr::null_mut());
                    let error = octrt_session_new(model, &raw mut session);
                    self.sessions.extend((!session.is_null()).then_some(session));
                    code(error)
                }
                2 => {
                    let mut canceller = ptr::null_mut();
                    let error = octrt_session_canceller(session, &raw mut canceller);
                    self.cancellers.extend((!canceller.is_null()).then_some(canceller));
                    code(error)
                }
                3 => {
                    assert!(self.cancellers.iter().all(|&c| octrt_cancel(c) == 0), "no run is going on");
                    OCTRT_OK
                }
                4 => {
                    let ((dims, rank, _), name) = (self.shape(), self.name());
                    code(octrt_session_set_shape(session, name, dims, rank))
                }
                5 => code(octrt_session_prepare(session)),
                6 => self.run(),
                7 => self.good_run(),
                8 => code(octrt_session_bind_input(session, &raw const tensor)),
                9 => code(octrt_session_bind_output(session, &raw const tensor)),
                10 => code(octrt_session_run_bound(session)),
                11 => code(octrt_session_output(session, index, &raw mut tensor)),
                12 => code(octrt_session_output_type(session, index, &raw mut tensor)),
                13 => code(octrt_session_memory(session, &raw mut out.0)),
                _ => {
                    let inputs = self.tensors();
                    let error =
                        octrt_session_profile(session, inputs.as_ptr(), inputs.len(), 1, &raw mut out.1);
                    octrt_string_free(out.1);
                    code(error)
                }
            }
        };
        self.successes[kind] += usize::from(code == OCTRT_OK);
        if self.random.once_in(6) {
            self.free();
        }
    }

    /// Ends a program, in any order.
    fn end(mut self) -> [usize; 16] {
        // SAFETY: each handle is given back once.
        unsafe {
            if self.random.once_in(2) {
                self.models.drain(..).for_each(|m| octrt_model_release(m));
            }
            self.sessions.drain(..).for_each(|s| octrt_session_free(s));
            self.cancellers.drain(..).for_each(|c| octrt_canceller_release(c));
            self.models.drain(..).for_each(|m| octrt_model_release(m));
        }
        self.successes
    }
}

#[test]
fn random_sequences() {
    let onnx = two_inputs();
    let mut base = ptr::null_mut();
    // SAFETY: the bytes are there during the call, which copies them.
    let error = unsafe {
        octrt_model_load_memory(
            onnx.as_ptr().cast(),
            onnx.len(),
            None,
            ptr::null_mut(),
            ptr::null(),
            &raw mut base,
        )
    };
    assert_eq!(code(error), OCTRT_OK);
    let mut successes = [0; 16];
    for seed in 1..=SEQUENCES {
        let mut program = Program {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            onnx: &onnx,
            // SAFETY: one more reference to a model that is alive.
            models: vec![unsafe { octrt_model_retain(base) }],
            sessions: Vec::new(),
            cancellers: Vec::new(),
            memory: vec![0.0; FLOATS],
            dims: Vec::new(),
            successes: [0; 16],
        };
        (0..CALLS).for_each(|_| program.call());
        program.end().iter().zip(&mut successes).for_each(|(n, sum)| *sum += n);
    }
    // SAFETY: the last reference.
    unsafe { octrt_model_release(base) };
    eprintln!("calls that succeeded, by kind: {successes:?}");
    assert!(successes[..15].iter().all(|&n| n > 0), "{successes:?}");
}

#[test]
fn damaged_pictures_and_settings() {
    let [path, picture] = shapes();
    let (onnx, picture) = (std::fs::read(path).unwrap(), std::fs::read(picture).unwrap());
    let mut random = Random(1);
    // SAFETY: the bytes are there during the calls, handles are given back once, the buffer is as large as it says.
    unsafe {
        let (mut model, mut preprocessor) = (ptr::null_mut(), ptr::null_mut());
        let load = octrt_model_load_memory(
            onnx.as_ptr().cast(),
            onnx.len(),
            None,
            ptr::null_mut(),
            ptr::null(),
            &raw mut model,
        );
        assert_eq!(code(load), OCTRT_OK);
        assert_eq!(code(octrt_preprocessor_new(model, ptr::null(), &raw mut preprocessor)), OCTRT_OK);
        let mut pixels = vec![0f32; 3 * 64 * 64];
        for _ in 0..300 {
            let mut bytes = picture.clone();
            for _ in 0..random.next(8) {
                let at = random.next(bytes.len());
                bytes[at] = random.next(256) as u8;
            }
            bytes.truncate(random.next(bytes.len() * 2).max(1));
            let input = octrt_tensor {
                struct_size: size_of::<octrt_tensor>(),
                dtype: OCTRT_F32,
                rank: OCTRT_RANK_OF_MODEL,
                dims: ptr::null(),
                data: pixels.as_mut_ptr().cast(),
                bytes: pixels.len() * 4,
                name: ptr::null(),
            };
            code(octrt_preprocess_memory(preprocessor, bytes.as_ptr().cast(), bytes.len(), &raw const input));
        }
        octrt_preprocessor_free(preprocessor);
        for settings in
            [c"", c"{", c"[]", c"{\"preset\": 1}", c"{\"what\": 1}", c"{\"scale\": 1e999}", c"\xff"]
        {
            let options = octrt_picture_options {
                struct_size: size_of::<octrt_picture_options>(),
                input: ptr::null(),
                settings: settings.as_ptr(),
                side_file: ptr::null(),
                height: 0,
                width: 0,
                exif: 0,
                reserved: 0,
            };
            let mut none = ptr::null_mut();
            assert_ne!(code(octrt_preprocessor_new(model, &raw const options, &raw mut none)), OCTRT_OK);
            assert!(none.is_null());
        }
        octrt_model_release(model);
    }
}
