"""python -m unittest -v; needs numpy and onnx, but none of the runtimes."""

import json
import stat
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, save

import models
import report
from peers import difference
from runtimes import Failure, Octrt


def write_conv(folder, dims):
    """y = Conv(x) with 8 filters of 2 x 3 x 3, two groups, stride 2."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 2, 3, 3], np.zeros(144, np.float32))
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, None, None])
    graph = helper.make_graph([node], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    checker.check_model(model)
    path = Path(folder) / "conv.onnx"
    save(model, path)
    return path


class Report(unittest.TestCase):
    def test_a_slow_machine_cancels_in_paired_ratios(self):
        base = [[10.0 * slow, 10.1 * slow, 30.0 * slow] for slow in (1, 3, 1, 2, 1)]
        times = [[t / 2 for t in one] for one in base]
        for value in report.paired_ratio(times, base):
            self.assertAlmostEqual(value, 0.5)

    def test_an_interval_holds_its_median(self):
        base = [[1.0]] * 20
        times = [[1.0 + 0.01 * (i % 7)] for i in range(20)]
        ratio, low, high = report.paired_ratio(times, base)
        self.assertTrue(1.0 <= low <= ratio <= high <= 1.06)
        self.assertLess(low, high)

    def test_the_best_peer_by_median_need_not_be_the_best_by_minimum(self):
        samples = {
            "octrt": [[8.0], [8.0]],
            "onnxruntime": [[10.0], [10.0]],
            "mnn": [[9.0], [13.0]],
        }
        found = report.summary(samples)
        self.assertEqual(found["by_median"]["peer"], "onnxruntime")
        self.assertAlmostEqual(found["by_median"]["ratio"], 0.8)
        self.assertEqual(found["by_min"]["peer"], "mnn")
        self.assertAlmostEqual(found["by_min"]["ratio"], 8 / 9)

    def test_a_table_has_a_cell_for_what_is_missing(self):
        titles = {"octrt": "octrt", "mnn": "MNN"}
        both = {"octrt": [[2.0]], "mnn": [[4.0]]}
        rows = [("a", both), ("b", {"octrt": [[3.0]]}), ("c", {})]
        results = [
            {"model": name, "macs": 10**8, "summary": report.summary(samples)}
            for name, samples in rows
        ]
        lines = report.table(results, titles, 100.0).splitlines()
        self.assertEqual(
            lines[2],
            "| a | 0.100 | 2.0 | **2.0 (2.0)** | 4.0 (4.0) | 0.50 [0.50, 0.50] MNN | 0.50 MNN |",
        )
        self.assertEqual(lines[3], "| b | 0.100 | 2.0 | **3.0 (3.0)** | - | - | - |")
        self.assertEqual(lines[4], "| c | 0.100 | 2.0 | - | - | - | - |")


class Models(unittest.TestCase):
    def test_inputs_are_made_up_or_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write_conv(folder, [1, 4, 10, 10])
            made_up = models.read(path, folder)
            self.assertEqual(made_up.inputs["x"].shape, (1, 4, 10, 10))
            self.assertEqual(made_up.macs, 8 * 5 * 5 * 2 * 3 * 3)
            np.save(Path(folder) / "conv.x.npy", np.ones((1, 4, 6, 6), np.float32))
            stored = models.read(write_conv(folder, [1, 4, "h", "w"]), folder)
            self.assertEqual(stored.macs, 8 * 3 * 3 * 2 * 3 * 3)
            self.assertTrue((stored.inputs["x"] == 1).all())

    def test_an_open_shape_needs_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = write_conv(folder, [1, 4, "h", "w"])
            with self.assertRaisesRegex(ValueError, "conv.x.npy"):
                models.read(path, folder)


class Outputs(unittest.TestCase):
    def test_difference_is_relative_to_the_root_mean_square(self):
        reference = [np.full((2, 2), 4.0, np.float32)]
        found = [reference[0] + np.array([[0, 0], [0, 1]], np.float32)]
        self.assertAlmostEqual(difference(found, reference), 0.25)

    def test_other_shapes_and_nan_are_never_near(self):
        reference = [np.ones(3, np.float32)]
        self.assertEqual(difference([np.ones(4, np.float32)], reference), float("inf"))
        self.assertFalse(difference([np.full(3, np.nan, np.float32)], reference) <= 1e9)


class Program(unittest.TestCase):
    def test_octrt_is_called_and_its_report_read(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "octrt"
            log = Path(folder) / "log"
            answer = {"machine": {"peak_gflops": 90.0}, "results": [{"samples_ms": [2.0, 3.0]}]}
            program.write_text(
                f"#!{sys.executable}\nimport sys\n"
                f"open({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
                f"answer = {json.dumps(answer)!r}\n"
                "print('octrt 9.9' if '--version' in sys.argv else answer)\n"
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            octrt = Octrt(str(program), "--precision strict", [0], 1)
            model = models.read(write_conv(folder, [1, 4, 10, 10]), folder)
            self.assertEqual(octrt.version, "9.9")
            self.assertEqual(octrt.measure(model, 4, 2), [2.0, 3.0])
            self.assertEqual(octrt.peak_gflops, 90.0)
            wanted = "--runs 2 --warmup 4 --threads 1 --precision strict --format json"
            self.assertEqual(log.read_text().splitlines()[1], f"bench {model.path} {wanted}")

    def test_a_missing_program_is_said(self):
        with self.assertRaisesRegex(Failure, "No such file"):
            Octrt("/nonexistent/octrt", "", [0], 1)


if __name__ == "__main__":
    unittest.main()
