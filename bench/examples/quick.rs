use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runs: usize = std::env::var("RUNS").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    let strict = std::env::var("STRICT").is_ok();
    for path in &args[1..] {
        let mut o = octrt::LoadOptions::default();
        if strict { o.precision = octrt::compiler::Precision::Strict; }
        let t = Instant::now();
        let model = octrt::Model::load(path, &o).unwrap();
        let mut s = model.session().unwrap();
        let load = t.elapsed();
        let shape: Vec<usize> = model.fixed_input_types().unwrap()[0].shape.dims().to_vec();
        let n: usize = shape.iter().product();
        let x: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let name = model.inputs()[0].name.clone();
        let t = octrt::TensorRef::new(&shape, &x).unwrap();
        let mut v = Vec::new();
        for _ in 0..runs + 2 { let a = Instant::now(); s.run(&[(&name, t)]).unwrap(); v.push(a.elapsed().as_secs_f64() * 1e3); }
        let mut w = v[2..].to_vec(); w.sort_by(f64::total_cmp);
        println!("{path} load {:.0} ms  min {:.2} med {:.2}", load.as_secs_f64() * 1e3, w[0], w[w.len() / 2]);
        if std::env::var("PROF").is_ok() {
            let mut best: Vec<(String, f64, usize)> = Vec::new();
            for _ in 0..runs {
                let mut i = 0;
                let mut obs = |e: &octrt::StepEvent<'_>| {
                    let t = e.elapsed.as_secs_f64() * 1e6;
                    if best.len() <= i { best.push((format!("{} {} {} {}", e.op, e.stage, e.node, e.ty), t, 0)); } else { best[i].1 = best[i].1.min(t); }
                    i += 1;
                    std::ops::ControlFlow::Continue(())
                };
                s.run_observed(&[(&name, t)], &mut obs).unwrap();
            }
            for (n, t, _) in &best { println!("{t:9.1} us  {n}"); }
            println!("sum {:.2} ms", best.iter().map(|b| b.1).sum::<f64>() / 1e3);
        }
    }
}
