//! What the program says of itself.

use clap::ValueEnum;

use crate::program::*;

/// The text without white space at the ends of lines.
fn trimmed(text: &str) -> String {
    text.lines().map(|l| l.trim_end().to_string() + "\n").collect()
}

#[test]
fn help_lists_commands_and_exit_codes() {
    expect_test::expect![[r#"
        Runs convolutional networks (ONNX) on the CPU: picture in, label out

        Usage: octrt [OPTIONS] <COMMAND>

        Commands:
          run          Run a model on pictures or tensors
          preprocess   Turn a picture into a model's input and save it
          inspect      Show what a model is made of and whether it can be run
          eval         Measure a classifier's accuracy on a folder or tar of pictures
          bench        Measure how fast models run, alone or side by side
          profile      Show where a model spends its time, by node or by operator
          tune         Measure how the convolutions of a model are carried out fastest on this machine, and
                       keep it in a file
          compile      Compile a model to a file that starts faster, or show what a stage of the compiler
                       makes of it
          compare      Compare machine code with the reference interpreter, node by node
          octavize     Put OctConvs in place of a model's convolutions
          list-ops     List the ONNX operators that are supported
          completions  Print a completion script for a shell
          help         Print this message or the help of the given subcommand(s)

        Options:
              --log <LEVEL>
                  Log to stderr: error, warn, info, debug, trace, or a filter as in RUST_LOG, whose place it
                  takes

              --color <WHEN>
                  Colours in messages on stderr

                  Possible values:
                  - auto:   On a terminal, unless NO_COLOR is set
                  - always: Always
                  - never:  Never

                  [default: auto]

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Exit codes:
          0  success
          1  the system, the machine or a defect of octrt
          2  usage: the arguments do not fit the program or the model
          3  a check failed (--expect, compare)
          4  the model or picture is valid, but octrt does not implement a part of it
          5  a file is corrupt
          6  a limit is exceeded (memory, size of a picture)

        Results go to stdout; progress, notes and errors to stderr.
    "#]]
    .assert_eq(&trimmed(octrt(&["--help"]).text()));
}

#[test]
fn every_command_has_help() {
    let commands = [
        "run",
        "preprocess",
        "inspect",
        "eval",
        "bench",
        "profile",
        "compile",
        "compare",
        "octavize",
        "list-ops",
        "completions",
    ];
    for command in commands {
        let help = octrt(&[command, "--help"]);
        assert!(help.text().contains("Usage: octrt "), "{command}: {}", help.stdout);
    }
}

#[test]
fn the_help_of_run_stays() {
    expect_test::expect![[r#"
        Run a model on pictures or tensors

        Usage: octrt run [OPTIONS] <MODEL> [INPUT]...

        Arguments:
          <MODEL>     The model: an ONNX file, or one that `octrt compile` has written
          [INPUT]...  The inputs in the model's order, or each as name=INPUT: a picture, an .npy, .npz or
                      .pb (ONNX TensorProto) file, numbers as [1,3,224], or the word `random`: floats in
                      [-1, 1), integers 0 to 9, the same every time

        Options:
              --dim <NAME=N>        The extent of a dynamic dimension, by its name or as INPUT:AXIS; the
                                    first one of an input is 1 when not given
              --log <LEVEL>         Log to stderr: error, warn, info, debug, trace, or a filter as in
                                    RUST_LOG, whose place it takes
              --color <WHEN>        Colours in messages on stderr [default: auto] [possible values: auto,
                                    always, never]
              --input <NAME=VALUE>  What an input holds: an .npy, .npz or .pb file, or numbers as [1,3,224].
                                    Inputs that decide shapes, as the second one of Reshape, must be given:
                                    `octrt inspect` shows which do
          -h, --help                Print help (see more with '--help')

        Pictures:
              --preset <NAME>        Preprocessing by name: imagenet, inception, caffe-bgr, octconv, none
              --resize <POLICY[:N]>  How the picture is resized: none, whole or short-side; `whole:64` and
                                     `short-side:256` say to how many pixels
              --crop <SIZE>          What is cut out of the middle: none, to-input, N or HEIGHTxWIDTH
              --filter <NAME>        The kernel of the resize, as Pillow has it: bilinear, bicubic
              --order <ORDER>        The order of the planes: rgb, bgr
              --scale <X>            Factor on the levels 0 to 255, before mean and std: a number or a
                                     fraction as 1/255
              --mean <A,B,C>         Subtracted from the planes, in their order
              --std <A,B,C>          Divides the planes, in their order
              --size <N|HxW>         Size of the model's input, where the model leaves it open
              --exif <WHAT>          Whether pictures are turned upright as their EXIF orientation says
                                     [default: apply] [possible values: apply, ignore]
              --side-file <FILE>     Settings of the model, a JSON file; `none` for none [default:
                                     MODEL.json beside the model, if there is one]

        Results:
              --labels <FILE>       The names of the classes, one a line [default: `labels` of MODEL.json,
                                    then the model's metadata octrt.labels]
              --top-k <N>           Number of classes shown, best first [default: 5]
              --save-outputs <DIR>  Save the outputs as output_0.npy, output_1.npy, ... in this folder
              --expect <FILE>...    Compare the outputs with these tensors (.npy, .npz, .pb), in the model's
                                    order or as name=FILE; stands after the inputs
              --atol <X>            Largest absolute difference that --expect allows, added to that of
                                    --rtol [default: 0.0001]
              --rtol <X>            Largest difference that --expect allows, relative to the expected
                                    element [default: 0.001]
              --format <FORMAT>     How the result is printed on stdout [default: text] [possible values:
                                    text, json]

        Machine:
              --threads <N>            Threads that share the work of a run; 0 for as many as there are
                                       [default: 1]
              --cache-dir <DIR>        Keep compiled models in this folder, and take them from there when
                                       they are loaded again
              --no-mmap                Read the model's files instead of mapping them: nobody can then
                                       change them under a running program
              --target <TARGET>        Instruction set: x86-64-v2, x86-64-v3, x86-64-v4, or native, the best
                                       for this machine [default: native]
              --precision <PRECISION>  How exact the algorithms are: default, by which a result of a
                                       convolution is off by up to 1e-5 of the root mean square of all, or
                                       strict, which excludes Winograd's, by which a NaN, an infinity or a
                                       number like 1e20 reaches all of the up to 4x4 pixels that are
                                       computed together [default: default]
              --records <FILE>         What `octrt tune` has measured on this machine, by which the compiler
                                       decides. A model compiled before keeps what it was compiled with
              --max-memory <BYTES>     Bytes that tensors and weights may take, as 500M or 2GiB [default:
                                       half of the memory]
    "#]]
    .assert_eq(&trimmed(octrt(&["run", "-h"]).text()));
}

#[test]
fn operators_are_listed_in_three_formats() {
    let count = octrt_onnx::support::operators().len();
    let head = |text: &str| text.lines().take(5).collect::<Vec<_>>().join("\n") + "\n";
    let text = octrt(&["list-ops"]);
    assert_eq!(text.text().lines().count(), count + 2);
    expect_test::expect![[r#"
        ONNX operators of opsets 1 to 27, and the opsets that define or change each:

        Abs                                     1, 6, 13
        Acos                                    7, 22
        Acosh                                   9, 22
    "#]]
    .assert_eq(&head(text.text()));
    let markdown = octrt(&["list-ops", "--format", "markdown"]);
    assert_eq!(markdown.text().lines().count(), count + 4);
    expect_test::expect![[r#"
        ONNX operators of opsets 1 to 27, and the opsets that define or change each.

        | operator | opsets | note |
        |---|---|---|
        | Abs | 1, 6, 13 |  |
    "#]]
    .assert_eq(&head(markdown.text()));
    let json = octrt(&["list-ops", "--format", "json"]).json();
    assert_eq!(json["operators"].as_array().unwrap().len(), count);
    assert_eq!(json["operators"][0]["op"], "Abs");
}

#[test]
fn shells_get_completions() {
    for shell in clap_complete::Shell::value_variants() {
        let script = octrt(&["completions", &shell.to_string()]);
        assert!(script.text().contains("save-outputs"), "{shell}");
    }
}

#[test]
fn colours_are_where_they_are_asked_for() {
    let fail = |when: &str| octrt(&["--color", when, "run", "none.onnx"]).stderr;
    assert!(fail("always").contains("\x1b[1;31merror\x1b[0m"));
    assert!(!fail("never").contains('\x1b'));
    assert!(!fail("auto").contains('\x1b'));
}

#[test]
fn the_log_goes_to_stderr() {
    let folder = Folder::new();
    let model = folder.tiny_model();
    let logged = octrt(&["--log", "debug", "run", &model, "random"]);
    assert!(logged.stderr.contains("DEBUG") && logged.stderr.contains("imported"), "{}", logged.stderr);
    assert!(!logged.text().contains("DEBUG"));
    let output = command(&["run", &model, "random"]).env("RUST_LOG", "octrt=debug").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("DEBUG"));
}
