//! MQTT 5.

use anita_formats::Delivery;
use rumqttc::{
    AckMode, AsyncClient, BrokerSessionResumePolicy, ConnectReturnCode, ConnectionError, Event, EventLoop,
    MqttOptions, Packet, QoS, SubscribeFilter, SubscribeReasonCode, Transport,
};

use super::UNACCEPTED_MAX;
use super::client::{Arrival, Message, Options, REQUESTS_MAX, Receipt};
use super::config::Settings;
use crate::Fault;

/// For how long the broker keeps the session while we are away, where `clean_session` is off.
const SESSION_SECS_MAX: u32 = 86_400;

pub(super) fn open(options: Options<'_>) -> Result<(AsyncClient, EventLoop), Fault> {
    let Options { settings, credentials, tls, message_bytes_max } = options;
    let mut mqtt = MqttOptions::new(settings.client_id.clone(), (settings.host.clone(), settings.port));
    mqtt.set_keep_alive(settings.keep_alive_secs)
        .set_ack_mode(AckMode::Manual)
        .set_max_packet_size(Some(message_bytes_max))
        .set_receive_maximum(u16::try_from(UNACCEPTED_MAX).ok())
        .set_clean_start(settings.is_clean_session)
        // What was unacknowledged when we went away is sent again by the broker; our side has nothing to reconcile with it.
        .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly);
    if !settings.is_clean_session {
        mqtt.set_session_expiry_interval(Some(SESSION_SECS_MAX));
    }
    match credentials {
        None => {}
        Some((username, None)) => drop(mqtt.set_username(username)),
        Some((username, Some(password))) => drop(mqtt.set_credentials(username, password)),
    }
    if let Some(tls) = tls {
        mqtt.set_transport(Transport::tls_with_config(tls));
    }
    AsyncClient::builder(mqtt).capacity(REQUESTS_MAX).try_build().map_err(|error| settings.failed(error))
}

pub(super) fn subscribe(client: &AsyncClient, settings: &Settings) -> Result<(), Fault> {
    let filters = settings.topics.iter().map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).map_err(|error| settings.failed(error))
}

pub(super) fn arrival(event: Result<Event, ConnectionError>, settings: &Settings) -> Result<Arrival, Fault> {
    let packet = match event {
        Ok(Event::Incoming(packet)) => packet,
        Ok(Event::Outgoing(_) | Event::Auth(_)) => return Ok(Arrival::Housekeeping),
        Err(ConnectionError::ConnectionRefused(code)) => return Err(refused(code, settings)),
        Err(error) => return Err(settings.failed(error)),
    };
    if let Packet::Publish(publish) = packet {
        return Ok(Arrival::Message(Message {
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            delivery: if publish.retain { Delivery::Retained } else { Delivery::Live },
            receipt: if publish.qos == QoS::AtMostOnce {
                Receipt::Unwanted
            } else {
                Receipt::V5(Box::new(publish))
            },
        }));
    }
    if let Packet::SubAck(answer) = packet {
        let mut codes = answer.return_codes.iter().enumerate();
        return match codes.find(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_))) {
            None => Ok(Arrival::Subscribed),
            Some((index, code)) => Err(settings.subscription_refused(index, &format!("{code:?}"))),
        };
    }
    Ok(if matches!(packet, Packet::ConnAck(_)) { Arrival::Connected } else { Arrival::Housekeeping })
}

fn refused(code: ConnectReturnCode, settings: &Settings) -> Fault {
    if matches!(code, ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized) {
        return settings
            .refused("it does not accept the user name and password; check `username` and `password_file`");
    }
    if matches!(code, ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid) {
        return settings.refused("it does not accept the client id; check `client_id`");
    }
    if matches!(
        code,
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion
    ) {
        return settings.refused("it does not speak MQTT 5; try `version = \"3.1.1\"`");
    }
    settings.refused(&format!("{code:?}"))
}
