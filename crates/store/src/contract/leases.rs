//! Claims on leases: a boot is renewed by its own token only, dies at most once, and never lives again.

use rollcall_domain::{id::BootId, time::Timestamp};

use super::Tested;
use crate::port::{LEASES_MAX, Lease, Nonce, Opening, Renewal, Standing, TokenHash};

const BOOT: BootId = BootId(0xb007);
const OTHER: BootId = BootId(0xb008);
const TOKEN: TokenHash = TokenHash([7; TokenHash::LENGTH]);

pub async fn a_new_store_has_no_leases(store: Tested) {
    assert_eq!(leases(&store).await, []);
}

pub async fn an_opened_lease_is_live_and_has_no_nonce_yet(store: Tested) {
    assert_eq!(open(&store, BOOT).await, Opening::Opened);

    assert_eq!(leases(&store).await, [Lease { boot: BOOT, nonce: Nonce(0), standing: Standing::Live }]);
}

pub async fn a_boot_that_has_a_lease_is_not_opened_again(store: Tested) {
    open(&store, BOOT).await;
    renew(&store, BOOT, 1).await;
    assert_eq!(open(&store, BOOT).await, Opening::Taken);
    let other = store.open_lease(BOOT, TokenHash([8; TokenHash::LENGTH])).await;
    assert_eq!(other.expect("the store opens leases"), Opening::Taken);
    assert_eq!(renew(&store, BOOT, 2).await, Renewal::Live);

    kill(&store, BOOT, 2).await;
    assert_eq!(open(&store, BOOT).await, Opening::Taken);
    assert_eq!(renew(&store, BOOT, 3).await, Renewal::Dead);
}

pub async fn of_openings_of_one_boot_exactly_one_succeeds(store: Tested) {
    let openings = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.open_lease(BOOT, TokenHash([n; TokenHash::LENGTH])).await })
    });
    let mut opened = 0;
    for opening in openings.collect::<Vec<_>>() {
        let opening = opening.await.expect("the task ends").expect("the store opens leases");
        opened += usize::from(opening == Opening::Opened);
    }
    assert_eq!(opened, 1);
}

pub async fn a_renewed_lease_has_the_nonce_of_its_last_report(store: Tested) {
    open(&store, BOOT).await;
    open(&store, OTHER).await;

    for nonce in [5, 5, 3, 9, 0, 4] {
        assert_eq!(renew(&store, BOOT, nonce).await, Renewal::Live);
        assert_eq!(lease(&store, BOOT).await, Some((Nonce(nonce), true)));
    }
    assert_eq!(lease(&store, OTHER).await, Some((Nonce(0), true)));
}

pub async fn another_token_renews_and_retires_nothing(store: Tested) {
    open(&store, BOOT).await;
    renew(&store, BOOT, 1).await;

    for at in [0, 15, 31] {
        let mut wrong = TOKEN;
        wrong.0[at] ^= 0x80;
        let renewal = store.renew_lease(BOOT, wrong, Nonce(2)).await.expect("the store renews leases");
        assert_eq!(renewal, Renewal::WrongToken);
        assert!(!store.retire_lease(BOOT, wrong).await.expect("the store retires leases"));
    }
    assert_eq!(lease(&store, BOOT).await, Some((Nonce(1), true)));

    kill(&store, BOOT, 1).await;
    let wrong = TokenHash([0; TokenHash::LENGTH]);
    let renewal = store.renew_lease(BOOT, wrong, Nonce(2)).await.expect("the store renews leases");
    assert_eq!(renewal, Renewal::WrongToken);
}

pub async fn an_unknown_boot_is_as_a_dead_one(store: Tested) {
    open(&store, OTHER).await;

    assert_eq!(renew(&store, BOOT, 0).await, Renewal::Dead);
    assert_eq!(renew(&store, BOOT, 1).await, Renewal::Dead);
    assert!(retire(&store, BOOT).await);
    assert!(!kill(&store, BOOT, 0).await);
    assert!(!forget(&store, BOOT).await);

    assert_eq!(leases(&store).await, [Lease { boot: OTHER, nonce: Nonce(0), standing: Standing::Live }]);
}

pub async fn a_lease_is_killed_at_the_nonce_that_it_has_and_at_no_other(store: Tested) {
    open(&store, BOOT).await;
    open(&store, OTHER).await;
    assert!(!kill(&store, BOOT, 1).await);
    renew(&store, BOOT, 1).await;
    renew(&store, BOOT, 2).await;

    for stale in [0, 1, 3] {
        assert!(!kill(&store, BOOT, stale).await);
    }
    assert_eq!(renew(&store, BOOT, 4).await, Renewal::Live);

    assert!(kill(&store, BOOT, 4).await);
    assert_eq!(lease(&store, BOOT).await, Some((Nonce(4), false)));
    assert!(kill(&store, OTHER, 0).await, "a boot without a report can be killed");
}

pub async fn a_dead_or_retired_boot_never_lives_again(store: Tested) {
    for (boot, killed) in [(BOOT, true), (OTHER, false)] {
        open(&store, boot).await;
        renew(&store, boot, 1).await;
        assert!(if killed { kill(&store, boot, 1).await } else { retire(&store, boot).await });
        let dead = leases(&store).await;

        for nonce in [0, 1, 2] {
            assert_eq!(renew(&store, boot, nonce).await, Renewal::Dead);
            assert!(!kill(&store, boot, nonce).await, "it is over already");
        }
        assert!(retire(&store, boot).await);
        assert_eq!(open(&store, boot).await, Opening::Taken);

        assert_eq!(leases(&store).await, dead);
    }
}

pub async fn a_lease_tells_when_it_died_or_retired(store: Tested) {
    open(&store, BOOT).await;
    open(&store, OTHER).await;
    let before = now(&store).await;

    kill(&store, BOOT, 0).await;
    retire(&store, OTHER).await;

    let after = now(&store).await;
    let standings: Vec<_> = leases(&store).await.iter().map(|lease| lease.standing).collect();
    let [Standing::Dead(killed), Standing::Retired(retired)] = standings[..] else {
        panic!("expected one that is dead and one that is retired, found {standings:?}")
    };
    assert!(
        before <= killed && killed <= retired && retired <= after,
        "{before:?}, {standings:?}, {after:?}"
    );
}

pub async fn of_a_kill_and_a_renewal_one_comes_first(store: Tested) {
    for n in 1..=50 {
        let boot = BootId(n);
        open(&store, boot).await;
        renew(&store, boot, 1).await;
        let (killer, gateway) = (store.clone(), store.clone());
        let killed = tokio::spawn(async move { kill(&killer, boot, 1).await });
        let renewed = tokio::spawn(async move { renew(&gateway, boot, 2).await });

        let killed = killed.await.expect("the task ends");
        let renewed = renewed.await.expect("the task ends");

        let told = (killed, renewed, lease(&store, boot).await);
        let either =
            [(true, Renewal::Dead, Some((Nonce(1), false))), (false, Renewal::Live, Some((Nonce(2), true)))];
        assert!(either.contains(&told), "{told:?}");
    }
}

pub async fn a_dead_or_retired_lease_is_forgotten_and_a_live_one_is_not(store: Tested) {
    let retired = BootId(1);
    for boot in [BOOT, OTHER, retired] {
        open(&store, boot).await;
    }
    kill(&store, BOOT, 0).await;
    retire(&store, retired).await;
    assert!(forget(&store, retired).await);

    assert!(!forget(&store, OTHER).await);
    assert!(forget(&store, BOOT).await);
    assert!(!forget(&store, BOOT).await, "it is forgotten already");

    assert_eq!(leases(&store).await, [Lease { boot: OTHER, nonce: Nonce(0), standing: Standing::Live }]);
    assert_eq!(renew(&store, BOOT, 1).await, Renewal::Dead);
}

pub async fn leases_come_in_the_order_of_the_boots(store: Tested) {
    let boots = [1, 9, 10, 0xff, 0x100, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX];
    for boot in [4, 0, 8, 2, 6, 1, 7, 3, 5] {
        assert_eq!(open(&store, BootId(boots[boot])).await, Opening::Opened);
    }

    let listed: Vec<_> = leases(&store).await.iter().map(|lease| lease.boot.0).collect();
    assert_eq!(listed, boots);
}

pub async fn nonces_are_told_apart_to_the_last_bit(store: Tested) {
    open(&store, BOOT).await;
    for bit in 0..64 {
        let nonce = u64::MAX ^ (1 << bit);
        renew(&store, BOOT, u64::MAX).await;
        assert!(!kill(&store, BOOT, nonce).await, "bit {bit}");
        renew(&store, BOOT, nonce).await;
        assert_eq!(lease(&store, BOOT).await, Some((Nonce(nonce), true)));
    }
}

pub async fn leases_beyond_the_limit_are_refused_until_one_is_forgotten(store: Tested) {
    for boot in 1..=LEASES_MAX as u64 {
        assert_eq!(open(&store, BootId(boot)).await, Opening::Opened, "boot {boot}");
    }
    let beyond = BootId(LEASES_MAX as u64 + 1);
    assert_eq!(open(&store, beyond).await, Opening::Full);
    assert_eq!(open(&store, BootId(1)).await, Opening::Taken, "what is there is said first");
    assert_eq!(renew(&store, BootId(1), 1).await, Renewal::Live);

    kill(&store, BootId(2), 0).await;
    assert_eq!(open(&store, beyond).await, Opening::Full, "the dead count too");
    forget(&store, BootId(2)).await;

    assert_eq!(open(&store, beyond).await, Opening::Opened);
    assert_eq!(leases(&store).await.len(), LEASES_MAX);
}

async fn open(store: &Tested, boot: BootId) -> Opening {
    store.open_lease(boot, TOKEN).await.expect("the store opens leases")
}

async fn renew(store: &Tested, boot: BootId, nonce: u64) -> Renewal {
    store.renew_lease(boot, TOKEN, Nonce(nonce)).await.expect("the store renews leases")
}

async fn retire(store: &Tested, boot: BootId) -> bool {
    store.retire_lease(boot, TOKEN).await.expect("the store retires leases")
}

async fn kill(store: &Tested, boot: BootId, nonce: u64) -> bool {
    store.kill_lease(boot, Nonce(nonce)).await.expect("the store kills leases")
}

async fn forget(store: &Tested, boot: BootId) -> bool {
    store.forget_lease(boot).await.expect("the store forgets leases")
}

async fn leases(store: &Tested) -> Vec<Lease> {
    store.leases().await.expect("the store lists leases")
}

/// Reads the nonce of a lease, and whether it is live.
async fn lease(store: &Tested, boot: BootId) -> Option<(Nonce, bool)> {
    let leases = leases(store).await;
    let lease = leases.iter().find(|lease| lease.boot == boot)?;
    Some((lease.nonce, lease.is_live()))
}

async fn now(store: &Tested) -> Timestamp {
    store.now().await.expect("the store has a clock")
}
