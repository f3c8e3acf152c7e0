//! The figures as CSV.

use super::EvalReport;

/// CSV with one row per method and measure: `method,measure,mean,low,high,n,p`. The upper bound of
/// real texts has the method name `real`. Cells without a value are empty.
#[must_use]
pub fn to_csv(report: &EvalReport) -> String {
    let mut csv = String::from("method,measure,mean,low,high,n,p\n");
    let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let of_methods = report.methods.iter().map(|(name, method)| (*name, &method.figures));
    for (method, figures) in of_methods.chain([("real", &report.ceiling)]) {
        for (measure, figure) in figures {
            let ends = [cell(Some(figure.mean)), cell(figure.low), cell(figure.high)].join(",");
            let (n, p) = (figure.n, cell(figure.p));
            csv.push_str(&format!("{method},{measure},{ends},{n},{p}\n"));
        }
    }
    for (name, method) in &report.methods {
        let cost = [
            ("calls", method.cost.calls),
            ("prompt_tokens", method.cost.prompt_tokens),
            ("completion_tokens", method.cost.completion_tokens),
        ];
        for (measure, mean) in cost {
            if mean.is_some() {
                csv.push_str(&format!("{name},{measure},{},,,,\n", cell(mean)));
            }
        }
    }
    csv
}
