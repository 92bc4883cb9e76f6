"""The runtimes, each behind the same three calls: load a model, measure it, close.

The Python runtimes live in a process each, which keeps its models loaded and works only while it is
asked. octrt is a program that loads the model for every measurement; its own warm-up comes after.
All of them, with all of their threads, stay on the given cores.
"""

import contextlib
import gc
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np


class Failure(Exception):
    """A runtime refused a model or ended; the text is its own."""


# --- in the worker process: load(model, threads) -> a function that runs once and returns the outputs


def load_onnxruntime(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(model.path), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, model.inputs)


def load_openvino(model, threads):
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,  # the process is pinned already
    }
    compiled = openvino.Core().compile_model(str(model.path), "CPU", settings)
    request = compiled.create_infer_request()

    def run():
        results = request.infer(model.inputs, share_inputs=True, share_outputs=True)
        return [results[i] for i in range(len(model.outputs))]

    return run


def load_mnn(model, threads):
    import MNN

    with tempfile.TemporaryDirectory() as folder:
        converted = str(Path(folder) / "model.mnn")
        convert_to_mnn(model.path, converted)
        settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
        module = MNN.nn.load_module_from_file(
            converted,
            list(model.inputs),
            model.outputs,
            runtime_manager=MNN.nn.create_runtime_manager((settings,)),
            shape_mutable=False,
        )
    sources = [MNN.expr.placeholder(list(x.shape), MNN.expr.NCHW) for x in model.inputs.values()]

    def run():
        for source, x in zip(sources, model.inputs.values()):
            source.write(x)
        results = module.forward(sources)
        return [np.array(MNN.expr.convert(r, MNN.expr.NCHW).read()) for r in results]

    return run


def convert_to_mnn(source, target):
    """The converter's own command reports home and installs packages; the extension module below it
    does neither."""
    call = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
    options = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", target, "--bizCode", "MNN"]
    done = subprocess.run(
        [sys.executable, "-c", call, *options],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode or not Path(target).exists():
        raise Failure("no conversion: " + done.stdout.decode(errors="replace")[-500:])


PYTHON_RUNTIMES = {  # key: (title, package, loader)
    "onnxruntime": ("ONNX Runtime", "onnxruntime", load_onnxruntime),
    "openvino": ("OpenVINO", "openvino", load_openvino),
    "mnn": ("MNN", "MNN", load_mnn),
}


def timed(run, warmup, runs):
    """Wall times of `runs` runs in milliseconds, after `warmup` runs that do not count."""
    for _ in range(warmup):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def serve(pipe, key, cores, threads):
    """The loop of a worker: ("load", model) -> outputs; ("measure", name, warmup, runs) -> times."""
    os.sched_setaffinity(0, cores)  # before the runtime looks at the machine
    os.dup2(2, 1)  # what runtimes print does not belong to the results
    gc.disable()
    loader, runs_of = PYTHON_RUNTIMES[key][2], {}
    while (request := pipe.recv()) is not None:
        try:
            if request[0] == "load":
                model = request[1]
                run = runs_of[model.name] = loader(model, threads)
                answer = [np.array(y) for y in run()]
                for thread in os.listdir("/proc/self/task"):
                    with contextlib.suppress(ProcessLookupError):
                        os.sched_setaffinity(int(thread), cores)
            else:
                name, warmup, runs = request[1:]
                answer = timed(runs_of[name], warmup, runs)
            pipe.send((answer, None))
        except Exception as error:  # whatever a runtime raises is an answer
            pipe.send((None, f"{type(error).__name__}: {error}"))


# --- in the program


class PythonRuntime:
    """A runtime in a worker process. Raises Failure when its package is not installed."""

    def __init__(self, key, cores, threads):
        self.key = key
        self.title, package, _ = PYTHON_RUNTIMES[key]
        try:
            self.version = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise Failure(f"the package {package} is not installed") from None
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, key, cores, threads), daemon=False
        )
        self.process.start()
        theirs.close()

    def ask(self, *request):
        try:
            self.pipe.send(request)
            answer, error = self.pipe.recv()
        except (EOFError, OSError):
            raise Failure("its process has ended") from None
        if error:
            raise Failure(error)
        return answer

    def load(self, model):
        """The outputs for the model's inputs."""
        return self.ask("load", model)

    def measure(self, model, warmup, runs):
        """Wall times in milliseconds."""
        return self.ask("measure", model.name, warmup, runs)

    def close(self):
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join()


class Octrt:
    """The program `octrt`. Raises Failure when there is none."""

    key, title = "octrt", "octrt"

    def __init__(self, program, arguments, cores, threads):
        self.program, self.cores = program, cores
        self.arguments = ["--threads", str(threads), *shlex.split(arguments)]
        self.peak_gflops = None  # of a core; known after the first measurement
        self.version = self.call("--version").strip().removeprefix("octrt ")

    def call(self, *arguments):
        try:
            done = subprocess.run(
                [self.program, *map(str, arguments)],
                check=False,
                capture_output=True,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
            )
        except OSError as error:
            raise Failure(f"{self.program}: {error.strerror}") from None
        if done.returncode:
            raise Failure(done.stderr.strip()[-500:] or f"exit code {done.returncode}")
        return done.stdout

    def load(self, model):
        """The outputs for the model's inputs."""
        inputs = [f"{name}={file}" for name, file in model.input_files.items()]
        with tempfile.TemporaryDirectory() as folder:
            self.call("run", model.path, *inputs, "--save-outputs", folder, *self.arguments)
            return [np.load(Path(folder) / f"output_{i}.npy") for i in range(len(model.outputs))]

    def measure(self, model, warmup, runs):
        """Wall times in milliseconds."""
        counts = ["--runs", runs, "--warmup", warmup]
        text = self.call("bench", model.path, *counts, *self.arguments, "--format", "json")
        report = json.loads(text)
        peak = report.get("machine", {}).get("peak_gflops")
        self.peak_gflops = max(filter(None, (self.peak_gflops, peak)), default=None)
        return report["results"][0]["samples_ms"]

    def close(self):
        """Nothing stays between measurements."""
