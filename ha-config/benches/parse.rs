//! What reading a large file costs, and one of noise: `cargo bench -p ha-config`. It asserts no
//! times, which are the machine's, but that everything was read, and that little is said of noise.

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

const INSTANCES: [usize; 3] = [10, 1000, 10_000];
const NOISE_BYTES: usize = 64 << 20;
/// What a person might still look at.
const COMPLAINTS_MAX: usize = 2100;
/// Words and instances know where they are from: a multiple of the file.
const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// `count` instances, 250 on an interface, each with an address of its own.
fn configuration(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (interface, vrid) = (number / 250, number % 250 + 1);
        let block = format!(
            "vrrp_instance V{number} {{\n    state BACKUP\n    interface eth{interface}\n    \
             virtual_router_id {vrid}\n    priority 100\n    advert_int 1\n    \
             virtual_ipaddress {{\n        2001:db8::{interface:x}:{vrid:x}/64\n    }}\n}}\n"
        );
        text.push_str(&block);
    }
    text
}

/// 64 MiB of a pattern.
fn repeated(pattern: &str) -> String {
    pattern.repeat((NOISE_BYTES - 64) / pattern.len())
}

/// Bytes of a xorshift generator (Marsaglia 2003), as text.
fn random() -> String {
    let mut state: u64 = 0x5eed_0fc0_f165;
    let mut bytes = Vec::new();
    // Two of three bytes become a replacement character of three.
    while bytes.len() < NOISE_BYTES / 2 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_ne_bytes());
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    let end = (0..=NOISE_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// Lines that look like a configuration after `head`, each with another number for its `#`s.
fn numbered(head: &str, line: &str) -> String {
    let mut text = format!("{head}\n");
    let mut number = 0_u32;
    while text.len() < NOISE_BYTES - 64 {
        // As the last parts of an address, too.
        let digits = format!("{:x}:{:x}", number >> 16, number & 0xffff);
        text.push_str(&line.replace('#', &digits));
        text.push('\n');
        number += 1;
    }
    text
}

fn instances(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("instances");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for count in INSTANCES {
        let text = configuration(count);
        group.throughput(Throughput::Elements(u64::try_from(count).unwrap_or(u64::MAX)));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| ha_config::parse("f", &text));
        });
        let parsed = ha_config::parse("f", &text);
        assert_eq!(parsed.diagnostics, [], "nothing is wrong with it");
        assert_eq!(parsed.config.instances.len(), count);
    }
    group.finish();
}

fn noise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("64 MiB of noise");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let kinds: [(&str, &dyn Fn() -> String); 15] = [
        ("random bytes", &random),
        ("one line", &|| repeated("x")),
        ("newlines", &|| repeated("\n")),
        ("open braces", &|| repeated("{")),
        ("close braces", &|| repeated("}\n")),
        ("blocks", &|| repeated("a {\n")),
        ("unclosed instances", &|| repeated("vrrp_instance V {\n")),
        ("comments", &|| repeated("# a comment {\n")),
        ("definitions", &|| repeated("$A=$A$A\n$A\n")),
        ("repeated keywords", &|| format!("vrrp_instance V {{\n{}", repeated("priority 1\n"))),
        ("unknown keywords", &|| numbered("vrrp_instance V {", "priorty_# #")),
        ("empty instances", &|| numbered("", "vrrp_instance V# {}")),
        ("addresses", &|| numbered("vrrp_instance V {\nvirtual_ipaddress {", "2001:db8::#")),
        ("members", &|| numbered("vrrp_sync_group G {\ngroup {", "V#")),
        ("tracked scripts", &|| numbered("vrrp_instance V {\ntrack_script {", "check#")),
    ];
    for (kind, text) in kinds {
        group.bench_function(kind, |bencher| {
            let text = text();
            assert_bounded(&text);
            bencher.iter(|| ha_config::parse("f", &text));
        });
    }
    group.finish();
}

#[track_caller]
fn assert_bounded(text: &str) {
    let mut complaints = 0;
    let memory = allocation_counter::measure(|| {
        complaints = ha_config::parse("f", text).diagnostics.len();
    });
    assert!(complaints < COMPLAINTS_MAX, "{complaints} complaints");
    assert!(memory.bytes_max < MEMORY_BYTES_MAX, "{} bytes", memory.bytes_max);
}

criterion_group!(benches, instances, noise);
criterion_main!(benches);
