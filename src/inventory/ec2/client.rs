//! The EC2 client: regions side by side, each page by page, kept answers where they will do.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::Filter;
use futures_util::future::join_all;

use super::{CachePolicy, Ec2Query, RegionAnswer, convert, failure};
use crate::inventory::SourceError;
use crate::inventory::cache::{Cache, CacheKey};
use crate::inventory::ec2_map::Instance;
use crate::inventory::file::Regions;

/// How long a TCP connection to the API may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one attempt of one request may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// The region that is asked for the list of regions where none is set.
const FIRST_REGION: &str = "us-east-1";

/// Asks every region of the query at the same time.
///
/// # Errors
/// Every region that gave no answer, or why none could be asked. A region that fails is never an empty one.
pub(crate) async fn instances(query: &Ec2Query) -> Result<Vec<RegionAnswer>, Vec<SourceError>> {
    let config = configure(query).await.map_err(|error| vec![error])?;
    let regions = regions(&config, query).await.map_err(|error| vec![error])?;
    let account = match &query.cache {
        Some(_) => Some(account(&config, query).await.map_err(|error| vec![error])?),
        None => None,
    };
    let asked = regions
        .iter()
        .map(|region| ask(&config, region, query, account.as_deref()));
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(answers)
    } else {
        Err(errors)
    }
}

/// Region and credentials, checked before anything is asked for.
async fn configure(query: &Ec2Query) -> Result<SdkConfig, SourceError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if let Some(profile) = &query.profile {
        loader = loader.profile_name(profile);
    }
    if let Regions::Named(names) = &query.regions
        && let Some(first) = names.first()
    {
        loader = loader.region(Region::new(first.clone()));
    }
    let mut config = loader.load().await;
    if config.region().is_none() {
        if query.regions == Regions::Ambient {
            return Err(unconfigured(
                query,
                "no region is set",
                Vec::new(),
                "set AWS_REGION, name one with `--region`, or give the inventory `regions:`",
            ));
        }
        config = config
            .into_builder()
            .region(Region::new(FIRST_REGION))
            .build();
    }
    check_credentials(&config, query).await?;
    Ok(assume_role(config, query).await)
}

fn unconfigured(query: &Ec2Query, reason: &str, causes: Vec<String>, hint: &str) -> SourceError {
    SourceError::Ec2Unconfigured {
        profile: query.profile.clone(),
        reason: reason.to_owned(),
        causes,
        hints: vec![hint.to_owned()],
    }
}

/// Fetches the credentials now, so that what is wrong with them is said once and not for each region. The
/// provider keeps them for the requests.
async fn check_credentials(config: &SdkConfig, query: &Ec2Query) -> Result<(), SourceError> {
    let Some(provider) = config.credentials_provider() else {
        let hint = "set AWS_PROFILE, or name one with `--profile`";
        return Err(unconfigured(
            query,
            "no credentials are set",
            Vec::new(),
            hint,
        ));
    };
    let Err(error) = provider.provide_credentials().await else {
        return Ok(());
    };
    let causes = failure::causes(&error);
    let hints = failure::hints(&causes, query.profile.as_deref());
    if failure::is_without_credentials(&causes) {
        // Of a long list only what the profile lacks is news, where one was named.
        let of_profile = |cause: &String| query.profile.is_some() && cause.starts_with("Profile");
        return Err(SourceError::Ec2Unconfigured {
            profile: query.profile.clone(),
            reason: "there are no credentials".to_owned(),
            causes: causes.into_iter().filter(of_profile).collect(),
            hints,
        });
    }
    Err(SourceError::Ec2 {
        action: "get credentials",
        region: region_of(config),
        profile: query.profile.clone(),
        causes,
        hints,
    })
}

async fn assume_role(config: SdkConfig, query: &Ec2Query) -> SdkConfig {
    let Some(role) = &query.role_arn else {
        return config;
    };
    let mut builder = AssumeRoleProvider::builder(role)
        .session_name("fab-rs")
        .configure(&config);
    if let Some(id) = &query.external_id {
        builder = builder.external_id(id);
    }
    let provider = builder.build().await;
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

fn region_of(config: &SdkConfig) -> String {
    config.region().map(ToString::to_string).unwrap_or_default()
}

async fn regions(config: &SdkConfig, query: &Ec2Query) -> Result<Vec<String>, SourceError> {
    match &query.regions {
        Regions::Ambient => Ok(vec![region_of(config)]),
        Regions::Named(names) => Ok(names.clone()),
        Regions::All => {
            let region = region_of(config);
            let answer = Client::new(config)
                .describe_regions()
                .send()
                .await
                .map_err(|error| failed("list regions", &region, query, &error))?;
            let names = answer.regions().iter();
            Ok(names
                .filter_map(|region| region.region_name().map(str::to_owned))
                .collect())
        }
    }
}

async fn account(config: &SdkConfig, query: &Ec2Query) -> Result<String, SourceError> {
    let region = region_of(config);
    let answer = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| failed("ask for the account's id", &region, query, &error))?;
    Ok(answer.account().unwrap_or_default().to_owned())
}

/// One region: a kept answer that is young enough, else the API's.
async fn ask(
    config: &SdkConfig,
    region: &str,
    query: &Ec2Query,
    account: Option<&str>,
) -> Result<RegionAnswer, SourceError> {
    let cache = account
        .zip(query.cache.as_ref())
        .map(|(account, policy)| cache(policy, account, region, query));
    let kept = cache.as_ref().and_then(Cache::get);
    if let Some((instances, age)) = kept {
        return Ok(RegionAnswer {
            region: region.to_owned(),
            instances,
            age: Some(age),
            note: None,
        });
    }
    let instances = list(config, region, query).await?;
    let note = cache.and_then(|cache| cache.put(&instances).err());
    Ok(RegionAnswer {
        region: region.to_owned(),
        instances,
        age: None,
        note: note.map(|error| format!("the answer of {region} could not be kept: {error}")),
    })
}

fn cache(policy: &CachePolicy, account: &str, region: &str, query: &Ec2Query) -> Cache {
    let key = CacheKey {
        account,
        region,
        profile: query.profile.as_deref(),
        role: query.role_arn.as_deref(),
        filters: &query.filters,
    };
    Cache::new(policy, &key)
}

async fn list(
    config: &SdkConfig,
    region: &str,
    query: &Ec2Query,
) -> Result<Vec<Instance>, SourceError> {
    let client = Client::from_conf(
        aws_sdk_ec2::config::Builder::from(config)
            .region(Region::new(region.to_owned()))
            .build(),
    );
    let filters = query.filters.iter().map(|(name, values)| {
        Filter::builder()
            .name(name)
            .set_values(Some(values.clone()))
            .build()
    });
    let mut pages = client
        .describe_instances()
        .set_filters(Some(filters.collect()))
        .into_paginator()
        .page_size(i32::from(query.page_size))
        .send();
    let mut instances = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list instances", region, query, &error))?;
        instances.extend(page.reservations().iter().flat_map(convert::instances));
    }
    Ok(instances)
}

fn failed<E>(action: &'static str, region: &str, query: &Ec2Query, error: &E) -> SourceError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let causes = match (error.code(), error.message()) {
        (Some(code), Some(message)) => vec![format!("{code}: {message}")],
        (Some(code), None) => vec![code.to_owned()],
        _ => failure::causes(error),
    };
    SourceError::Ec2 {
        action,
        region: region.to_owned(),
        profile: query.profile.clone(),
        hints: failure::hints(&causes, query.profile.as_deref()),
        causes,
    }
}
