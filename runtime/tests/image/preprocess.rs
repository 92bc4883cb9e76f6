//! Settings: presets, overrides, their JSON, and the values they give.

use octrt::image::{
    ChannelOrder, Crop, DecodeOptions, Filter, ImageError, Preprocess, PreprocessOverrides, Preset,
    ResizePolicy, preprocess_bytes,
};

use crate::build::encode;
use crate::{fnv, small_picture};

#[test]
fn imagenet_values_are_those_of_torchvision_bit_for_bit() {
    let settings = Preset::Imagenet.settings().with(|s| s.resize_size = Some(8));
    let input = settings.tensor(&small_picture(), [6, 7]).expect("tensor");
    assert_eq!(input.shape, [1, 3, 6, 7]);
    assert_eq!(input.data[..3], [-1.3301654, -0.8677969, -0.42255333]);
    assert_eq!(fnv(input.data.iter().flat_map(|value| value.to_le_bytes())), 0xd7ae_1402_de51_b4aa);
}

#[test]
fn presets_of_whole_pictures_scale_and_order_as_documented() {
    let picture = small_picture();
    let level = |pixel: usize, channel: usize| f32::from(picture.rgb()[pixel * 3 + channel]);
    for (preset, planes, value) in [
        (Preset::Inception, [0, 1, 2], (|x| (x - 128.0) / 128.0) as fn(f32) -> f32),
        (Preset::CaffeBgr, [2, 1, 0], |x| x),
        (Preset::None, [0, 1, 2], |x| x),
    ] {
        let input = preset.settings().tensor(&picture, [5, 7]).expect("tensor");
        assert_eq!(input.shape, [1, 3, 5, 7]);
        let expected: Vec<f32> = planes
            .iter()
            .flat_map(|&c| (0..35).map(move |p| (p, c)))
            .map(|(p, c)| value(level(p, c)))
            .collect();
        assert_eq!(input.data, expected, "{preset}");
    }
}

#[test]
fn octconv_values_are_within_two_units_in_the_last_place() {
    let settings = Preset::Octconv.settings().with(|s| s.resize = ResizePolicy::None);
    let input = settings.tensor(&small_picture(), [5, 7]).expect("tensor");
    for (at, &found) in input.data.iter().enumerate() {
        let (plane, pixel) = (at / 35, at % 35);
        let level = f32::from(small_picture().rgb()[pixel * 3 + plane]);
        let expected = (level - [124.0, 117.0, 104.0][plane]) * 0.0167;
        assert!(
            (found - expected).abs() <= 2.0 * f32::EPSILON * expected.abs(),
            "{found} at {at}: {expected}"
        );
    }
}

#[test]
fn bgr_takes_mean_and_std_in_the_order_of_the_planes() {
    let overrides = PreprocessOverrides::default().with(|s| {
        s.order = Some(ChannelOrder::Bgr);
        s.mean = Some([1.0, 2.0, 3.0]);
        s.std = Some([1.0, 2.0, 4.0]);
    });
    let input = overrides.apply(Preset::None.settings()).tensor(&small_picture(), [5, 7]).expect("tensor");
    // Pixel 8 of the small picture is (x 1, y 1): R 42, G 0, B 37.
    assert_eq!([input.data[8], input.data[35 + 8], input.data[70 + 8]], [36.0, -1.0, 39.0 / 4.0]);
}

#[test]
fn sizes_follow_the_model_unless_stated() {
    let picture = small_picture();
    let imagenet = Preset::Imagenet.settings();
    for target in [[3, 3], [32, 32], [224, 160]] {
        assert_eq!(imagenet.pixels(&picture, target).expect("pixels").size(), target);
    }
    let fixed = imagenet.with(|s| s.crop = Crop::Size([4, 4]));
    assert_eq!(fixed.pixels(&picture, [4, 4]).expect("pixels").size(), [4, 4]);
    let error = fixed.pixels(&picture, [8, 8]).expect_err("crop and input differ");
    let message = "small: the model's input is 8x8 (height x width), the picture is 4x4 after preprocessing";
    assert_eq!(error.to_string(), message);
}

#[test]
fn without_a_resize_the_picture_must_have_the_size_of_the_input() {
    let error = Preset::None.settings().tensor(&small_picture(), [7, 5]).expect_err("5x7 is not 7x5");
    assert!(matches!(error, ImageError::WrongSize { expected: [7, 5], found: [5, 7], .. }), "{error}");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let none = Preset::None.settings();
    let bad = [
        ("std", none.clone().with(|s| s.std = [1.0, 0.0, 1.0])),
        ("std", none.clone().with(|s| s.std = [1.0, f32::NAN, 1.0])),
        ("mean", none.clone().with(|s| s.mean = [f32::INFINITY, 0.0, 0.0])),
        ("scale", none.clone().with(|s| s.scale = f64::NAN)),
        ("resize_size", none.clone().with(|s| s.resize_size = Some(0))),
    ];
    for (name, settings) in bad {
        let error = settings.tensor(&small_picture(), [5, 7]).expect_err(name);
        assert!(matches!(error, ImageError::InvalidSettings { field, .. } if field == name), "{error}");
    }
    let error = none.tensor(&small_picture(), [0, 7]).expect_err("target");
    assert!(matches!(error, ImageError::InvalidSettings { field: "target", .. }), "{error}");
}

#[test]
fn overrides_apply_in_layers() {
    let side_file: PreprocessOverrides =
        serde_json::from_str(r#"{"preset": "imagenet", "filter": "bicubic", "resize_size": 232}"#)
            .expect("JSON");
    let caller = PreprocessOverrides::default().with(|s| s.resize_size = Some(240));
    let settings = caller.apply(side_file.apply(Preprocess::default()));
    let expected = Preset::Imagenet.settings().with(|s| {
        s.filter = Filter::Bicubic;
        s.resize_size = Some(240);
    });
    assert_eq!(settings, expected);
    let reset = PreprocessOverrides::default().with(|s| s.preset = Some(Preset::Octconv));
    assert_eq!(reset.apply(settings), Preset::Octconv.settings());
}

#[test]
fn json_keeps_settings_and_refuses_unknown_fields() {
    for &preset in Preset::all() {
        let settings = preset.settings().with(|s| s.crop = Crop::Size([3, 4]));
        let json = serde_json::to_string(&settings).expect("JSON");
        let read: Preprocess = serde_json::from_str(&json).expect("own JSON");
        assert!((read.scale - settings.scale).abs() <= f64::EPSILON * settings.scale, "{json}");
        assert_eq!(read.with(|s| s.scale = settings.scale), settings, "{json}");
    }
    assert_eq!(serde_json::to_string(&PreprocessOverrides::default()).expect("JSON"), "{}");
    let error = serde_json::from_str::<PreprocessOverrides>(r#"{"men": [1, 2, 3]}"#).expect_err("men");
    assert!(error.to_string().contains("unknown field `men`"), "{error}");
    assert!(serde_json::from_str::<Preprocess>(r#"{"preset": "imagenet"}"#).is_err());
}

#[test]
fn names_are_the_same_in_text_and_json() {
    for &preset in Preset::all() {
        assert_eq!(preset.name().parse::<Preset>().expect("own name"), preset);
        assert_eq!(serde_json::to_string(&preset).expect("JSON"), format!("{:?}", preset.to_string()));
    }
    for &policy in ResizePolicy::all() {
        assert_eq!(serde_json::to_string(&policy).expect("JSON"), format!("{:?}", policy.to_string()));
    }
    for &filter in Filter::all() {
        assert_eq!(serde_json::to_string(&filter).expect("JSON"), format!("{:?}", filter.to_string()));
    }
    for &order in ChannelOrder::all() {
        assert_eq!(serde_json::to_string(&order).expect("JSON"), format!("{:?}", order.to_string()));
    }
    let message = "Imagnet".parse::<Preset>().expect_err("misspelt").to_string();
    let expected =
        "unknown preset \"Imagnet\": expected one of imagenet, inception, caffe-bgr, octconv, none";
    assert_eq!(message, expected);
}

#[test]
fn bytes_go_all_the_way_to_the_input() {
    let png = encode(&small_picture(), image::ImageFormat::Png);
    let settings = Preset::CaffeBgr.settings();
    let input =
        preprocess_bytes("small.png", &png, &settings, [5, 7], &DecodeOptions::default()).expect("input");
    assert_eq!(input, settings.tensor(&small_picture(), [5, 7]).expect("input"));
}
