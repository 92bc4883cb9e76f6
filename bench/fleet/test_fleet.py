"""What decides over networks, on small arrays and made-up records."""

import json
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import compare
import fleet
import octrt
import page
import table


class Judging(unittest.TestCase):
    def setUp(self):
        self.expected = np.random.default_rng(1).standard_normal(1000).astype(np.float32)

    def test_within_tolerance(self):
        near = self.expected + np.float32(1e-4)
        self.assertEqual(compare.judge([near], [self.expected]).by, "tolerance")

    def test_beyond_tolerance_without_arbitration(self):
        verdict = compare.judge([self.expected + np.float32(0.01)], [self.expected])
        self.assertFalse(verdict.right)
        self.assertIn("off by", verdict.why)

    def test_double_precision_arbitrates(self):
        exact = self.expected.astype(np.float64) + 0.01
        found = (exact + 0.005).astype(np.float32)
        self.assertEqual(compare.judge([found], [self.expected], [exact]).by, "float64")
        worse = (exact + 0.03).astype(np.float32)
        self.assertFalse(compare.judge([worse], [self.expected], [exact]).right)

    def test_double_precision_of_something_else_does_not(self):
        other = self.expected.astype(np.float64) + 10
        self.assertFalse(compare.judge([self.expected + np.float32(0.01)], [self.expected], [other]).right)

    def test_movement_arbitrates(self):
        found = self.expected + np.float32(0.01)
        moved = self.expected - np.float32(0.02)
        self.assertEqual(compare.judge([found], [self.expected], None, [moved]).by, "moves")
        still = self.expected + np.float32(0.001)
        self.assertFalse(compare.judge([found], [self.expected], None, [still]).right)

    def test_one_bad_output_of_two(self):
        bad = self.expected + np.float32(0.01)
        self.assertFalse(compare.judge([self.expected, bad], [self.expected] * 2).right)

    def test_shape_type_and_count(self):
        for found in (self.expected[:-1], self.expected.astype(np.float64)):
            self.assertIn("instead of", compare.judge([found], [self.expected]).why)
        self.assertFalse(compare.judge([], [self.expected]).right)

    def test_nothing_pardons_a_shape(self):
        short = self.expected[:-1]
        verdict = compare.judge([short], [self.expected], [self.expected.astype(float)], [short])
        self.assertFalse(verdict.right)

    def test_integers_must_be_equal(self):
        a, b = np.array([1, 2, 3, 4]), np.array([1, 2, 4, 3])
        self.assertTrue(compare.judge([a], [a]).right)
        self.assertEqual(compare.judge([b], [a]).error, 0.5)
        self.assertFalse(compare.judge([b], [a]).right)

    def test_nan_and_infinity(self):
        a = np.array([1.0, np.inf, np.nan])
        self.assertEqual(compare.distance(a, a), 0.0)
        self.assertEqual(compare.distance(np.array([1.0, 2.0, np.nan]), a), np.inf)
        self.assertEqual(compare.distance(np.array([np.nan]), np.array([1.0])), np.inf)


class Refusals(unittest.TestCase):
    def test_operators_of_a_message(self):
        message = (
            "octrt: error: m.onnx: the model uses what is not supported:\n"
            "  ReduceL2 (ai.onnx, opset 17): the operator is not supported; node '/a'\n"
            "  QGemm (com.microsoft, opset 1): operators of domain 'com.microsoft' are not supported; node '/b'\n"
            "  BatchNormalization (ai.onnx, opset 17): training_mode is 1; nodes '/c', '/d'"
        )
        found = ["BatchNormalization: training_mode is 1", "ReduceL2",
                 "com.microsoft.QGemm: operators of domain 'com.microsoft' are not supported"]  # fmt: skip
        self.assertEqual(octrt.unsupported(message), found)

    def test_dims_are_those_of_dynamic_axes(self):
        x = np.zeros((2, 3, 8, 9))
        self.assertEqual(octrt.dims([["x", 0], ["x", 3]], {"x": x}), ["--dim", "x:0=2", "--dim", "x:3=9"])


class Files(unittest.TestCase):
    def test_table(self):
        networks = table.read()
        self.assertGreaterEqual(len(networks), 205)
        sources = {"torchvision", "torchvision-raw", "timm", "smp", "own", "ultralytics", "wheel"}
        self.assertEqual({n.source.split(":")[0] for n in networks}, sources)

    def test_a_name_twice_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "networks.txt"
            file.write_text("a f timm\na f own\n")
            self.assertRaisesRegex(ValueError, "twice", table.read, file)

    def test_what_is_exported_as_asked(self):
        def kinds(**asked):
            args = SimpleNamespace(**({"dynamo": False, "dynamic": False} | asked))
            networks = [table.Network("n", "f", source) for source in ("timm", "ultralytics", "wheel:w")]
            return [n.source for n in networks if fleet.exportable(n, args)]

        self.assertEqual(kinds(), ["timm", "ultralytics", "wheel:w"])
        self.assertEqual(kinds(dynamic=True), ["timm", "ultralytics"])
        self.assertEqual(kinds(dynamo=True), ["timm"])

    def test_records_survive(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "fleet.json"
            self.assertEqual(fleet.read(file), {})
            fleet.save(file, json.dumps({"records": [{"network": "a", "state": "right"}]}))
            self.assertEqual(fleet.read(file)["a"]["state"], "right")


class Page(unittest.TestCase):
    def test_what_decided_is_shown(self):
        verdict = {"error": 2e-3, "by": "float64", "onnxruntime_to_float64": 1e-3, "onnxruntime_moves": 0.1}
        self.assertEqual(page.off(verdict), "2e-03 (1e-03)")
        self.assertEqual(page.off({"error": 2e-6, "by": "tolerance"}), "2e-06")
        self.assertEqual(page.off({}), "")

    def test_rows_and_counts(self):
        def record(name, state, **more):
            return {"network": name, "family": "f", "source": "timm", "state": state, **more}

        records = [
            record("a", "right", verdict={"error": 1e-6, "by": "tolerance"}, timing={"ratio": {"onnxruntime": 0.5}}),
            record("b", "refused", unsupported=["LSTM"], message="..."),
            record("c", "wrong", verdict={"error": 0.5, "why": "output 0 is off by 5.0e-01"}),
            record("d", "not exported", message="a | b"),
        ]
        head = {"date": "2026-11-29", "cpu": "C", "versions": {"octrt": "1"}, "exporter": "dynamo", "dynamic": False}
        text = page.page(head, records)
        self.assertIn("Of 3 networks octrt runs 1 right, 1 wrong, 1 refused; 1 more could not be exported.", text)
        self.assertIn("geometric mean 0.50 over 1, faster on 1", text)
        self.assertIn("| a | f | timm | yes | 1e-06 | 0.50 |  |  |", text)
        self.assertIn("| b | f | timm | refused |  |  |  | LSTM |", text)
        self.assertIn("output 0 is off by", text)
        self.assertIn("a \\| b", text)


if __name__ == "__main__":
    unittest.main()
