//! Says which machine it was made for, as JSON.

fn main() {
    let greeting = serde_json::json!({
        "greeting": "Hello from Rust",
        "machine": std::env::consts::ARCH,
    });
    println!("{greeting}");
}
