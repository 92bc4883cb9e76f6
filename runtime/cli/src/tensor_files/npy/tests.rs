use super::*;

fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, &[version, 0]].concat();
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    [&bytes, header.as_bytes(), data].concat()
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}   \n")
}

fn failure(bytes: &[u8]) -> String {
    read("f.npy", bytes).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    for (dtype, shape) in [
        (DataType::F32, vec![2, 3]),
        (DataType::F16, vec![5]),
        (DataType::F64, vec![]),
        (DataType::I64, vec![1, 2, 1]),
        (DataType::I32, vec![0, 4]),
        (DataType::U8, vec![3]),
        (DataType::Bool, vec![2]),
    ] {
        let count: usize = shape.iter().product();
        let bytes: Vec<u8> = (0..count * dtype.size()).map(|i| (i % 2) as u8).collect();
        let tensor = NamedTensor { name: String::new(), dtype, shape, bytes };
        let mut out = Vec::new();
        write(&mut out, tensor.view().unwrap()).unwrap();
        assert_eq!((out.len() - tensor.bytes.len()) % 64, 0);
        assert_eq!(read("f.npy", &out).unwrap(), tensor);
    }
}

#[test]
fn bf16_is_written_as_f32() {
    let bytes = bf16::from_f32(1.5).to_le_bytes().to_vec();
    let tensor = NamedTensor { name: String::new(), dtype: DataType::BF16, shape: vec![1], bytes };
    let mut out = Vec::new();
    write(&mut out, tensor.view().unwrap()).unwrap();
    let back = read("f.npy", &out).unwrap();
    assert_eq!((back.dtype, back.bytes), (DataType::F32, 1.5f32.to_le_bytes().to_vec()));
}

#[test]
fn the_header_is_numpys() {
    let tensor = NamedTensor { name: String::new(), dtype: DataType::F32, shape: vec![1], bytes: vec![0; 4] };
    let mut out = Vec::new();
    write(&mut out, tensor.view().unwrap()).unwrap();
    let text = String::from_utf8_lossy(&out[10..124]).trim().to_string();
    assert_eq!(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }");
}

#[test]
fn versions_byte_orders_and_column_major_are_read() {
    let data: Vec<u8> = [1i32, 2, 3, 4, 5, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
    // Columns (1,2), (3,4), (5,6) of a 2x3 matrix.
    let t = read("f.npy", &file(2, &header(">i4", "True", "(2, 3)"), &data)).unwrap();
    let values: Vec<i32> = t.bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
    assert_eq!((t.shape, values), (vec![2, 3], vec![1, 3, 5, 2, 4, 6]));
    let t = read("f.npy", &file(3, &header("|b1", "False", "(2,)"), &[0, 7])).unwrap();
    assert_eq!(t.bytes, [0, 1]);
    let any_order = "{\"shape\": (), \"descr\": \"<f4\", \"fortran_order\": False}";
    assert_eq!(read("f.npy", &file(1, any_order, &[0; 4])).unwrap().shape, [0usize; 0]);
}

#[test]
fn broken_files_are_refused() {
    assert!(failure(b"PK\x03\x04").contains("not an .npy file"));
    assert!(failure(b"").contains("not an .npy file"));
    let whole = file(1, &header("<f4", "False", "(2,)"), &[0; 8]);
    for len in 6..whole.len() {
        assert!(read("f.npy", &whole[..len]).is_err(), "{len}");
    }
    assert!(failure(&whole[..whole.len() - 1]).contains("has 8 bytes, found 7"));
    assert!(failure(&file(9, "", &[])).contains("version 9"));
    assert!(failure(&file(2, &" ".repeat(20_000), &[])).contains("at most 10000"));
    assert!(failure(&file(1, &header("<f4", "False", "(-1,)"), &[])).contains("expected an extent"));
    assert!(failure(&file(1, &header("<f4", "Maybe", "(1,)"), &[])).contains("True or False"));
    assert!(failure(&file(1, &"(".repeat(9_000), &[])).contains("expected '{'"));
    assert!(failure(&file(1, "{'descr': '<f4'}", &[])).contains("no entry 'fortran_order'"));
    assert!(failure(&file(1, "{'evil': 1}", &[])).contains("unknown entry"));
    let huge = format!("({0}, {0}, {0})", usize::MAX);
    assert!(failure(&file(1, &header("<f4", "False", &huge), &[])).contains("more than can be addressed"));
    let many = format!("({})", "1,".repeat(100));
    assert!(failure(&file(1, &header("<f4", "False", &many), &[])).contains("dimensions"));
}

#[test]
fn other_element_types_are_not_supported() {
    for descr in ["<c8", "|O", "<U5", "", "é"] {
        let e = read("f.npy", &file(1, &header(descr, "False", "(1,)"), &[0; 8])).unwrap_err();
        assert!(matches!(e, Failure::Unsupported(_)), "{descr}: {e}");
    }
    let structured = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}";
    assert!(failure(&file(1, structured, &[0; 4])).contains("a text in quotes"));
}
