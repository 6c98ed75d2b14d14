use fab_rs::model::*;
use fab_rs::transport::*;
use std::time::*;
use tokio_util::sync::CancellationToken;
struct N(u64);
impl Output for N {
    async fn chunk(&mut self, _: Stream, b: &[u8]) {
        self.0 += b.len() as u64;
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: usize = a[1].parse().unwrap();
    let steps: usize = a[2].parse().unwrap();
    let rt = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .unwrap();
    let t = std::sync::Arc::new(SshTransport::new(TransportSettings {
        connect: Duration::from_secs(10),
        login: Duration::from_secs(30),
        transfer_stall: Duration::from_secs(60),
        known_hosts: "/dev/null".into(),
        socket_dir: "/tmp/txs".into(),
        sudo_password: None,
    }));
    rt.block_on(async {
        let mut js = tokio::task::JoinSet::new();
        let sem = std::sync::Arc::new(tokio::sync::Semaphore::new(32));
        let t0 = Instant::now();
        for i in 0..n {
            let t = t.clone();
            let sem = sem.clone();
            js.spawn(async move {
                let _p = sem.acquire_owned().await.unwrap();
                let mut h = Host::named("x", "127.0.77.1");
                h.ssh.config = Some("/tmp/tr/cfg".into());
                h.ssh.kex = Kex::Fast;
                let _ = i;
                let c = CancellationToken::new();
                let t1 = Instant::now();
                let s = t.connect(&h, 3, &c).await.unwrap();
                let con = t1.elapsed();
                let t1 = Instant::now();
                for _ in 0..steps {
                    let r = s
                        .exec(
                            &RemoteCommand::new(Program::Argv(vec!["true".into()])),
                            &mut N(0),
                            &c,
                        )
                        .await;
                    assert_eq!(r.exit, Exit::Code(0), "{r:?}");
                }
                let ex = t1.elapsed();
                let t1 = Instant::now();
                s.close().await;
                (con, ex, t1.elapsed())
            });
        }
        let r = js.join_all().await;
        let m = |f: fn(&(Duration, Duration, Duration)) -> Duration| {
            r.iter().map(f).sum::<Duration>() / r.len() as u32
        };
        println!(
            "wall {:?} connect {:?} exec {:?} close {:?}",
            t0.elapsed(),
            m(|x| x.0),
            m(|x| x.1),
            m(|x| x.2)
        );
        t.shutdown().await;
        println!("all {:?}", t0.elapsed());
    });
}
